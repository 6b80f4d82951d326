// The roll of strict singletons that may run here, for the watchdog that outlives the agent; and what it did by itself.
import { join } from "node:path";
import { z } from "zod";
import { RuntimeKind } from "../../../contracts/agent-protocol.ts";
import { InstanceId } from "../../../contracts/ids.ts";
import { readJsonFile, writeAtomically } from "../state/durable-file.ts";
import { ProcessId } from "../state/process-id.ts";

/** process: the first process of its present run, null until it is known; it is found by its name or mark then. */
const RollRow = z.object({
  instance: InstanceId,
  generation: z.int().positive(),
  runtime: RuntimeKind,
  process: ProcessId.nullable(),
});
export type RollRow = z.infer<typeof RollRow>;

const FencedRow = z.object({ instance: InstanceId, generation: z.int().positive(), message: z.string() });
export type FencedRow = z.infer<typeof FencedRow>;

const ROLL_FILE = "strict.json";
const FENCED_FILE = "fenced.json";
const FENCED_KEPT = 64;

/** strictStopMs and strictHungMs as the agent has them: the watchdog has no tuning of its own. */
const Roll = z.object({ stopMs: z.number(), hungMs: z.number(), rows: z.array(RollRow) });
export type Roll = z.infer<typeof Roll>;

/** Null where there is none, or none that can be read: then nothing is known that could be stopped. */
export function readRoll(dir: string): Promise<Roll | null> {
  return readJsonFile(join(dir, ROLL_FILE), Roll).catch(() => null);
}

/** Void after a loss of power, as everything that it names. */
export function writeRoll(dir: string, roll: Roll): Promise<void> {
  return writeAtomically(join(dir, ROLL_FILE), JSON.stringify(roll));
}

export async function readFenced(dir: string): Promise<FencedRow[]> {
  return (await readJsonFile(join(dir, FENCED_FILE), z.array(FencedRow)).catch(() => null)) ?? [];
}

/** Written by the watchdog alone. */
export async function addFenced(dir: string, row: FencedRow): Promise<void> {
  const rows = [...(await readFenced(dir)), row].slice(-FENCED_KEPT);
  await writeAtomically(join(dir, FENCED_FILE), JSON.stringify(rows));
}

/** One notice per instance and generation, whoever fenced it. */
export const fencedKey = ({ instance, generation }: { instance: string; generation: number }): string =>
  `fenced/${instance}/${generation}`;
