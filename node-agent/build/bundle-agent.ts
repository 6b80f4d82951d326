// Bundles agent and gateway into the one file that an operator puts on a server, and the launcher into the one beside it.
import { build as bundle, type Plugin } from "esbuild";
import { fileURLToPath } from "node:url";
import type { ReleaseKey } from "../../contracts/agent-release.ts";

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

/** What a bundle says of itself; absent: as in the source. */
export interface BundleFacts {
  readonly version?: string;
  readonly releaseKeys?: readonly ReleaseKey[];
}

/** outfile: absolute. It runs with a plain `node` (20 or later) and nothing beside it. */
export async function bundleAgent(outfile: string, { version, releaseKeys }: BundleFacts = {}): Promise<void> {
  await bundle({
    entryPoints: [`${ROOT}node-agent/agent/main.ts`],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    plugins: [leaveOutUnreached],
    define: {
      ...(version === undefined ? {} : { BERTH_AGENT_VERSION: JSON.stringify(version) }),
      ...(releaseKeys === undefined ? {} : { BERTH_RELEASE_KEYS: JSON.stringify(releaseKeys) }),
    },
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

/** It is installed once and stays: plain Node, nothing bundled in but our own few files. */
export async function bundleLauncher(outfile: string): Promise<void> {
  await bundle({
    entryPoints: [`${ROOT}node-agent/launcher/main.ts`],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    banner: { js: "#!/usr/bin/env node" },
    logLevel: "warning",
  });
}
