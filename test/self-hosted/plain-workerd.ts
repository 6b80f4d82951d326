// A plain workerd of a test: started on free ports with a configuration text, killed and started again on the same folder.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { choosePort } from "../../dev/ports.ts";
import { workerdBinary } from "../../self-hosted/build/workerd-binary.ts";
import { untilListening } from "./until-listening.ts";

export class PlainWorkerd {
  readonly #folder: string;
  #child: ChildProcess | null = null;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** `files` lie beside the configuration. The objects' folder is `objects`. */
  static write(folder: string, configuration: string, files: Readonly<Record<string, string>> = {}): PlainWorkerd {
    mkdirSync(join(folder, "objects"), { recursive: true });
    for (const [name, text] of Object.entries({ ...files, "berth.capnp": configuration }))
      writeFileSync(join(folder, name), text);
    return new PlainWorkerd(folder);
  }

  async start(ports: readonly number[], env: Readonly<Record<string, string>> = {}): Promise<void> {
    const args = [
      "serve",
      join(this.#folder, "berth.capnp"),
      "config",
      `--directory-path=objects=${this.#folder}/objects`,
    ];
    this.#child = spawn(workerdBinary(), args, { stdio: ["ignore", "inherit", "inherit"], env });
    await Promise.race([
      Promise.all(ports.map(untilListening)),
      once(this.#child, "exit").then(() => Promise.reject(new Error("workerd ended"))),
    ]);
  }

  async kill(): Promise<void> {
    if (this.#child === null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    this.#child = null;
    await ended;
  }
}

export const freePort = (): Promise<number> => choosePort([], new Set());
