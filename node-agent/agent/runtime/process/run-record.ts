// D/instances/<id>/run.json: what is known of an instance's process, for the agent that comes after this one.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { AppId, InstanceId, ReleaseId, TeamId } from "../../../../contracts/ids.ts";
import { readJsonFile, writeDurably } from "../../state/durable-file.ts";
import { ProcessId } from "../../state/process-id.ts";
import type { Exit, Unit } from "../runtime.ts";

/** process is null from the moment the folder is made until it runs. No environment is here: it is secret. */
export const RunRecord = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  app: AppId,
  team: TeamId,
  release: ReleaseId,
  port: z.int(),
  /** The port is one that the release asked for by number: every run of it listens there. */
  isHostPort: z.boolean().optional(),
  digest: z.string().nullable(),
  command: z.array(z.string()),
  memoryBytes: z.int(),
  /** Absent: started by an agent that kept no such note. */
  hasSecrets: z.boolean().optional(),
  process: ProcessId.nullable(),
  startedAtMs: z.number(),
  exit: z.object({ exitCode: z.int().nullable(), signal: z.string().nullable(), outOfMemory: z.boolean() }).nullable(),
});
export type RunRecord = z.infer<typeof RunRecord>;

export const RUN_FILE = "run.json";

export function instanceFolder(dir: string, instance: string): string {
  return join(dir, "instances", instance);
}

export async function readRecords(dir: string): Promise<RunRecord[]> {
  const names = await readdir(join(dir, "instances")).catch(() => []);
  const records = await Promise.all(
    names.map((name) => readJsonFile(join(dir, "instances", name, RUN_FILE), RunRecord)),
  );
  return records.filter((record) => record !== null);
}

/** Writes records, those of one instance in the order of the calls: a process may end while its start is still being written. */
export class RecordStore {
  readonly #dir: string;
  readonly #writes = new Map<string, Promise<void>>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  write(record: RunRecord): Promise<void> {
    const path = join(instanceFolder(this.#dir, record.instance), RUN_FILE);
    const before = this.#writes.get(record.instance) ?? Promise.resolve();
    const write = before.catch(() => undefined).then(() => writeDurably(path, JSON.stringify(record)));
    this.#writes.set(record.instance, write);
    return write;
  }

  /** Once nothing of the instance is being written any more. */
  async settle(instance: string): Promise<void> {
    await this.#writes.get(instance)?.catch(() => undefined);
    this.#writes.delete(instance);
  }
}

export function unitOfRecord(record: RunRecord, exit: Exit | null): Unit {
  const { instance, generation, app, team, release, port, digest, process, startedAtMs } = record;
  const life = process === null ? "none" : `${process.bootId}/${process.pid}/${process.startTicks}`;
  return {
    instance,
    generation,
    app,
    team,
    release,
    id: instance,
    host: "127.0.0.1",
    port,
    digest,
    life,
    startedAtMs,
    pid: exit === null ? (process?.pid ?? null) : null,
    exit,
  };
}
