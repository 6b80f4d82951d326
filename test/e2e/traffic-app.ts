// The app whose answers say which release gave them, as one file: for tests and benchmarks of releases.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** apps/traffic-server.mjs as one file. */
export async function trafficServer(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("apps/traffic-server.mjs", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "esm",
    write: false,
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  return outputFiles[0]?.text ?? "";
}
