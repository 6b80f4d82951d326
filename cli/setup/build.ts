// Which build of the Workers this checkout would deploy: a hash over their sources, so that an unchanged one is not deployed again.
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCES = ["contracts", "core", "db", "durable-objects", "workers"].map(
  (folder) => `${folder}/**/*.{ts,json,toml,sql}`,
);
const FILES = ["package.json", "wrangler.toml"];

/** `settings`: what the Workers are configured with beside their sources. */
export function buildOf(settings: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const path of [...FILES, ...globSync(SOURCES, { cwd: PROJECT }).sort()])
    hash.update(`\0${path}\0`).update(readFileSync(join(PROJECT, path)));
  return hash.digest("hex").slice(0, 24);
}
