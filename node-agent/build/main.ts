// `npm run build:agent [-- --sign key.jwk --version 1.2.3]` and `npm run release-key -- key.jwk`: what an operator gives to servers.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { z } from "zod";
import { AGENT_PROTOCOL } from "../../contracts/agent-protocol.ts";
import { AgentVersion, ReleaseKey } from "../../contracts/agent-release.ts";
import { AGENT_VERSION } from "../agent/version.ts";
import { bundleAgent, bundleLauncher } from "./bundle-agent.ts";
import { installationOf, installScript } from "./installer.ts";
import { publicHalf, type PrivateReleaseKey, signManifest, writeReleaseKey } from "./release-key.ts";

const USAGE = `usage
  npm run build:agent                                        dist/agent.mjs, launcher.mjs, install.sh, install.json, unsigned
  npm run build:agent -- --sign KEY --version 1.2.3          and dist/agent.manifest, signed
      --not-before TIME   no node runs it earlier [now]
      --pin KEY           a public release key that the bundle trusts beside the signing one; may be repeated
      --out DIR           [dist]
  npm run release-key -- KEY                                 make a release key; its public half is written beside it
`;

const text = { type: "string" } as const;
const FLAGS = {
  sign: text,
  version: text,
  "not-before": text,
  pin: { type: "string", multiple: true },
  out: text,
} as const;

async function main(argv: readonly string[]): Promise<void> {
  const [command, ...rest] = argv;
  if (command === "release-key") return releaseKey(rest);
  if (command !== "build") throw new Error(USAGE);
  const { values } = parseArgs({ args: rest, options: FLAGS });
  const out = resolve(values.out ?? fileURLToPath(new URL("../../dist", import.meta.url)));
  mkdirSync(out, { recursive: true });
  const version = values.version === undefined ? undefined : parsed(AgentVersion, values.version, "--version");
  const pinned = (values.pin ?? []).map((path) => parsed(ReleaseKey, readJson(path), `--pin ${path}`));
  const key = values.sign === undefined ? null : readPrivate(values.sign);
  if (key !== null && version === undefined) throw new Error("--sign needs --version: nodes only go forward");
  const releaseKeys = [...(key === null ? [] : [publicHalf({ ...key })]), ...pinned];
  const outfile = join(out, "agent.mjs");
  await bundleAgent(outfile, { ...(version === undefined ? {} : { version }), releaseKeys });
  await writeInstaller(out, outfile, version ?? AGENT_VERSION);
  if (key === null || version === undefined) return say(`${outfile}: unsigned, for installing by hand only`);
  const bytes = readFileSync(outfile);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const notBefore = values["not-before"] === undefined ? Date.now() : Date.parse(values["not-before"]);
  if (!Number.isFinite(notBefore)) throw new Error("--not-before must be a time such as 2026-01-31T06:00Z");
  const manifest = { version, sha256, bytes: bytes.length, protocol: AGENT_PROTOCOL, notBefore };
  writeFileSync(join(out, "agent.manifest"), `${await signManifest(manifest, key)}\n`);
  say(`${outfile} and agent.manifest: ${version}, ${bytes.length} bytes, signed by ${key.kid}`);
}

/** What `berth nodes installer` publishes. */
async function writeInstaller(out: string, agent: string, version: string): Promise<void> {
  const launcher = join(out, "launcher.mjs");
  const script = join(out, "install.sh");
  await bundleLauncher(launcher);
  writeFileSync(script, installScript(), { mode: 0o755 });
  const installation = installationOf({ agent, launcher, script }, version);
  writeFileSync(join(out, "install.json"), `${JSON.stringify(installation, null, 2)}\n`);
}

async function releaseKey([path]: readonly string[]): Promise<void> {
  if (path === undefined) throw new Error(USAGE);
  const { kid } = await writeReleaseKey(resolve(path)).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "EEXIST" ? new Error(`${error.path} is there already: a key is never written over`) : error;
  });
  say(`${path}: release key ${kid}. Keep it offline; its public half goes into AGENT_RELEASE_KEYS and --release-keys`);
}

function readPrivate(path: string): PrivateReleaseKey {
  return parsed(ReleaseKey.extend({ d: ReleaseKey.shape.x }), readJson(path), `--sign ${path}`);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Error(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  // Not the value: it may be a private key.
  const faults = result.error.issues.map(({ path, message }) => [...path, message].join(": "));
  throw new Error(`${what}: ${faults.join("; ")}`);
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
