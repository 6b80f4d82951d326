// Bundles the companion into one file that runs with a plain `node` and nothing beside it.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

export async function bundleCompanion(outfile: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL("../companion/main.ts", import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // Native speed-ups that pg and ws look for and do without.
    external: ["pg-native", "bufferutil", "utf-8-validate", "cloudflare:sockets"],
    // Bundled CommonJS asks for it, and an ES module has none.
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module";\nconst require = makeRequire(import.meta.url);',
    },
    logLevel: "error",
  });
}
