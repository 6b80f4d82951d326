// Bundles agent and gateway into the one file that an operator puts on a server. `npm run build:agent` runs this.
import { build as bundle, type Plugin } from "esbuild";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Parts of dockerode that need files or native code beside them, and that the agent never reaches: SSH to an Engine, and
 * BuildKit sessions. Each becomes an empty module.
 */
const UNREACHED = /^(ssh2|cpu-features|@grpc\/grpc-js|@grpc\/proto-loader|protobufjs)$/;

const leaveOutUnreached: Plugin = {
  name: "leave-out-unreached",
  setup(build) {
    build.onResolve({ filter: UNREACHED }, ({ path }) => ({ path, namespace: "unreached" }));
    build.onLoad({ filter: /.*/, namespace: "unreached" }, () => ({ contents: "module.exports = {};", loader: "js" }));
  },
};

/** outfile: absolute. It runs with a plain `node` (20 or later) and nothing beside it. */
export async function bundleAgent(outfile: string): Promise<void> {
  await bundle({
    entryPoints: [`${ROOT}node-agent/agent/main.ts`],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    plugins: [leaveOutUnreached],
    // Bundled CommonJS asks for these, which an ES module does not have.
    banner: {
      js: [
        "#!/usr/bin/env node",
        "import { createRequire as berthCreateRequire } from 'node:module';",
        "import { fileURLToPath as berthFileUrlToPath } from 'node:url';",
        "const require = berthCreateRequire(import.meta.url);",
        "const __filename = berthFileUrlToPath(import.meta.url);",
        "const __dirname = berthFileUrlToPath(new URL('.', import.meta.url));",
      ].join("\n"),
    },
    logLevel: "warning",
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundleAgent(`${ROOT}dist/agent.mjs`);
