// Bundles a Worker into one module, with the conditions and the defaults that `wrangler deploy` uses.
import { build, type Plugin } from "esbuild";
import { isBuiltin } from "node:module";

/** `import "crypto"` means `node:crypto` in workerd, which knows Node's modules by their prefixed names only. */
const nodeBuiltins: Plugin = {
  name: "node-builtins",
  setup(bundler) {
    bundler.onResolve({ filter: /^(node|cloudflare|workerd):/ }, ({ path }) => ({ path, external: true }));
    bundler.onResolve({ filter: /^[a-z_/]+$/ }, ({ path, kind }) => {
      if (!isBuiltin(path)) return undefined;
      return kind === "require-call" ? { path, namespace: "required" } : { path: `node:${path}`, external: true };
    });
    // A module has no `require` in workerd: what older packages ask for that way is imported for them.
    bundler.onLoad({ filter: /.*/, namespace: "required" }, ({ path }) => ({
      contents: `import all from "node:${path}"; module.exports = all;`,
    }));
  },
};

/** keepNames: as the Worker's `keep_names` says; every function made at run time costs a call for its name. */
export async function bundleWorker(
  mainPath: string,
  outputPath: string,
  { keepNames = true }: { readonly keepNames?: boolean } = {},
): Promise<void> {
  await build({
    entryPoints: [mainPath],
    outfile: outputPath,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["browser", "module", "main"],
    loader: { ".txt": "text", ".html": "text", ".sql": "text", ".bin": "binary" },
    define: { "process.env.NODE_ENV": '"production"', "global.process.env.NODE_ENV": '"production"' },
    keepNames,
    logLevel: "error",
    plugins: [nodeBuiltins],
  });
}
