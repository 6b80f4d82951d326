// A team's apps into a folder: a compose file each, what its image is made of, names of its environment, and a list of all images.
import { createHash } from "node:crypto";
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { App } from "../../contracts/api.ts";
import type { Api } from "../client.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { composeOf } from "./compose.ts";

export interface Written {
  readonly files: readonly string[];
  /** Names of apps that have no release that serves: there is nothing of them to run. */
  readonly idle: readonly string[];
}

export async function writeTeam(api: Api, apps: readonly App[], folder: string): Promise<Written> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const images = new Set<string>();
  const files: string[] = [];
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    files.push(name);
  };
  const running = apps.filter(({ currentRelease }) => currentRelease !== null);
  for (const app of running) {
    const { compose, environment, image, build } = composeOf(app, app.currentRelease!);
    write(`${app.name}.compose.yaml`, compose);
    if (environment !== "") write(`${app.name}.env`, environment);
    if (image !== null) images.add(image);
    if (build === null) continue;
    write(`${app.name}.Dockerfile`, build.dockerfile);
    await download(api, `/v1/apps/${app.name}/bundles/${build.hash}`, join(folder, build.archive), build.hash);
    files.push(build.archive);
  }
  const lines = [...images].toSorted().map((image) => `${image}\n`);
  write("images.txt", lines.join(""));
  return { files, idle: apps.filter((app) => !running.includes(app)).map(({ name }) => name) };
}

async function download(api: Api, path: string, file: string, hash: string): Promise<void> {
  const digest = createHash("sha256");
  const bytes = Readable.fromWeb((await api.stream(path)) as never);
  const hashed = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      digest.update(chunk);
      yield chunk;
    }
  };
  await pipeline(bytes, hashed, createWriteStream(file, { mode: 0o600 }));
  if (`sha256:${digest.digest("hex")}` === hash) return;
  throw new CommandFailure(`${file} came with other bytes than its hash says`, EXIT.failed, "Try again.");
}
