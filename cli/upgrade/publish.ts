// An agent release on its way to the installation: what the two files say of each other is checked before anything is sent.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { AgentManifest, AgentRelease, SignedManifest } from "../../contracts/agent-release.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { bytes } from "../output.ts";

export async function publish(context: Context, bundlePath: string, manifestPath: string): Promise<AgentRelease> {
  const bundle = read(bundlePath);
  const signed = SignedManifest.safeParse(read(manifestPath).toString("utf8").trim());
  if (!signed.success) {
    const hint = "`npm run build:agent -- --sign KEY --version 1.2.3` signs one.";
    throw new CommandFailure(`${manifestPath} is no signed manifest`, EXIT.usage, hint);
  }
  const manifest = manifestIn(signed.data, manifestPath);
  const sha256 = createHash("sha256").update(bundle).digest("hex");
  if (bundle.length !== manifest.bytes || sha256 !== manifest.sha256) {
    const found = `${bundlePath} has ${bundle.length} bytes (${sha256.slice(0, 12)}…)`;
    const wanted = `its manifest names ${manifest.bytes} (${manifest.sha256.slice(0, 12)}…)`;
    throw new CommandFailure(`${found}, ${wanted}`, EXIT.usage, "Take both from the same build.");
  }
  await context.api.upload(`/v1/agent-bundles/${sha256}`, bundle, "application/octet-stream");
  const release = await context.api.call(AgentRelease, "POST", "/v1/agent-releases", { manifest: signed.data });
  context.out.line(`Published agent ${release.version}: ${bytes(release.bytes)}, protocol ${release.protocol}`);
  return release;
}

export async function listPublished(context: Context): Promise<void> {
  const Releases = z.object({ items: z.array(AgentRelease) });
  const { items } = await context.api.call(Releases, "GET", "/v1/agent-releases");
  context.out.result({ items }, () => {
    context.out.table(
      ["VERSION", "BYTES", "PROTOCOL", "NOT BEFORE", "SHA-256"],
      items.map(({ version, bytes: size, protocol, notBefore, sha256 }) => [
        version,
        bytes(size),
        String(protocol),
        new Date(notBefore).toISOString(),
        sha256.slice(0, 16),
      ]),
    );
    context.out.line("`berth nodes upgrade --to <version>` brings nodes over to one.");
  });
}

/** What it says, unverified: the installation and each node check the signature. */
function manifestIn(signed: string, path: string): AgentManifest {
  try {
    const [, payload = ""] = signed.split(".");
    return AgentManifest.parse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8")));
  } catch {
    throw new CommandFailure(`${path} is signed, but names no agent release`, EXIT.usage);
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandFailure(`${path} cannot be read: ${(error as Error).message}`, EXIT.usage);
  }
}
