// What `npm run build:agent` made, on its way to the installation: files and document are checked against each other first.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Installation } from "../../contracts/installation.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";

const FILES = { agent: "agent.mjs", launcher: "launcher.mjs", script: "install.sh" } as const;
const HINT = "`npm run build:agent` makes the folder: agent.mjs, launcher.mjs, install.sh, install.json.";

export async function publishInstallation(context: Context, dist: string): Promise<Installation> {
  const wanted = documentIn(join(dist, "install.json"));
  const files = (["agent", "launcher", "script"] as const).map((name) => {
    const path = join(dist, FILES[name]);
    const bytes = read(path);
    if (createHash("sha256").update(bytes).digest("hex") === wanted[name]) return { sha256: wanted[name], bytes };
    throw new CommandFailure(`${path} is not of the same build as install.json`, EXIT.usage, HINT);
  });
  for (const { sha256, bytes } of files) {
    await context.api.upload(`/v1/agent-bundles/${sha256}`, bytes, "application/octet-stream");
  }
  return context.api.call(Installation, "PUT", "/v1/installation", wanted);
}

function documentIn(path: string): Installation {
  const parsed = Installation.safeParse(jsonOf(read(path)));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CommandFailure(`${path}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`, EXIT.usage, HINT);
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return null;
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandFailure(`${path} cannot be read: ${(error as Error).message}`, EXIT.usage, HINT);
  }
}
