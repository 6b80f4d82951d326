// Where a platform's key-encryption keys are given to its Worker: Cloudflare's secrets, a self-hosted folder, a local stack's state.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";

export interface KekPlace {
  /** Adds `SECRETS_KEYS_<version>`; what the operator has to do then, or null. Those that are there stay. */
  add(version: string, ring: string): Promise<string | null>;
  /** Takes the version away, once nothing is sealed under it. needed: versions that are not retired. */
  remove(version: string, needed: readonly string[]): Promise<string | null>;
}

export interface PlaceOptions {
  readonly domain?: string | undefined;
  readonly name: string;
  readonly account?: string | undefined;
  readonly selfHosted?: string | undefined;
  readonly local?: string | undefined;
}

const BASE = "SECRETS_KEYS";
const bindingOf = (version: string): string => `${BASE}_${version}`;

/** Loaded as they are needed: no other command needs a database driver or wrangler. */
export async function placeOf(context: Context, options: PlaceOptions): Promise<KekPlace | null> {
  if (options.selfHosted !== undefined) return selfHosted(options.selfHosted);
  if (options.local !== undefined) return localStack(options.local);
  if (options.domain !== undefined) return cloudflare(context, { ...options, domain: options.domain });
  return null;
}

/** Which bindings to drop: the version's own, or the first ring once all that it holds is retired. */
function dropped(names: readonly string[], version: string, needed: readonly string[]): string[] {
  if (names.includes(bindingOf(version))) return [bindingOf(version)];
  const inFirst = needed.filter((one) => !names.includes(bindingOf(one)));
  return names.includes(BASE) && inFirst.length === 0 ? [BASE] : [];
}

async function cloudflare(context: Context, options: PlaceOptions & { domain: string }): Promise<KekPlace> {
  const { enter } = await import("../setup/run.ts");
  const { findZone, permitted } = await import("../setup/checks.ts");
  const { wantedOf } = await import("../setup/wanted.ts");
  const { api } = await enter(context);
  const zone = await findZone(api, options.domain, options.account);
  const { workers } = wantedOf({ ...options, apiHost: undefined, region: undefined }, zone);
  const secrets = `/accounts/${zone.accountId}/workers/scripts/${workers.control}/secrets`;
  const names = async () =>
    (await api.call(z.array(z.object({ name: z.string() })), "GET", secrets)).map((one) => one.name);
  return {
    async add(version, text) {
      const name = bindingOf(version);
      // In place of one that is there already nothing could be opened any more.
      if (!(await permitted(names)).includes(name))
        await permitted(() => api.call(z.unknown(), "PUT", secrets, { name, text, type: "secret_text" }));
      return null;
    },
    async remove(version, needed) {
      for (const name of dropped(await permitted(names), version, needed))
        await permitted(() => api.call(z.unknown(), "DELETE", `${secrets}/${name}`));
      return null;
    },
  };
}

async function selfHosted(given: string): Promise<KekPlace> {
  const { platformFolder, filesToWrite, writeFile } = await import("../setup/self-hosted/folder.ts");
  const { wantedFiles } = await import("../setup/self-hosted/contents.ts");
  const { readSecrets } = await import("../setup/self-hosted/secrets.ts");
  const { readSettings } = await import("../setup/self-hosted/settings.ts");
  const folder = platformFolder(given);
  const settings = readSettings(folder);
  if (settings === null)
    throw new CommandFailure(
      `${folder} holds no self-hosted platform`,
      EXIT.usage,
      "Name the folder of `berth setup`.",
    );
  const write = async (secrets: Readonly<Record<string, string>>): Promise<string> => {
    for (const { file } of filesToWrite(folder, await wantedFiles(folder, settings, secrets))) writeFile(folder, file);
    return "systemctl restart berth-platform";
  };
  return {
    async add(version, ring) {
      const secrets = readSecrets(folder);
      return bindingOf(version) in secrets ? null : write({ ...secrets, [bindingOf(version)]: ring });
    },
    async remove(version, needed) {
      const secrets = readSecrets(folder);
      const gone = dropped(Object.keys(secrets), version, needed);
      if (gone.length === 0) return null;
      return write(Object.fromEntries(Object.entries(secrets).filter(([name]) => !gone.includes(name))));
    },
  };
}

const Stack = z.looseObject({ secrets: z.record(z.string(), z.string()) });

function localStack(folder: string): KekPlace {
  const path = join(folder, "stack.json");
  if (!existsSync(path))
    throw new CommandFailure(`${folder} holds no local stack`, EXIT.usage, "Name the folder that `npm start` keeps.");
  const change = (turn: (secrets: Record<string, string>) => Record<string, string>): string => {
    const state = Stack.parse(JSON.parse(readFileSync(path, "utf8")));
    const text = JSON.stringify({ ...state, secrets: turn(state.secrets) }, null, 2);
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return "npm start, after it was stopped";
  };
  return {
    add: async (version, ring) => change((secrets) => ({ [bindingOf(version)]: ring, ...secrets })),
    remove: async (version, needed) =>
      change((secrets) => {
        const gone = dropped(Object.keys(secrets), version, needed);
        return Object.fromEntries(Object.entries(secrets).filter(([name]) => !gone.includes(name)));
      }),
  };
}
