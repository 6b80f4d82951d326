// How fast an engine decides, on one core: requests drawn by a seed, placed until one is refused or time is up.
import { randomFrom } from "../../core/random.ts";
import type { EngineKind, Fleet } from "./engine.ts";
import type { Shape } from "./traces.ts";

export interface Speed {
  /** Of this thread's processor time, so that neighbours on the machine count less. */
  readonly perSecond: number;
  readonly decisions: number;
  /** Whether it went on to the first refusal. */
  readonly full: boolean;
}

/** Every seed is another draw; the same seed is the same stream for every engine. A decision includes telling the engine. */
export function speedOf(
  kind: EngineKind,
  fleet: Fleet,
  shapes: readonly Shape[],
  seed: number,
  secondsMax: number,
): Speed {
  const engine = kind(fleet, shapes);
  const next = randomFrom(seed.toString(16).padStart(8, "0").repeat(4));
  const begin = process.threadCpuUsage();
  let decisions = 0;
  let full = false;
  while (!full) {
    if (engine.place(next() % shapes.length, []) < 0) full = true;
    decisions += 1;
    if (decisions % 256 === 0 && secondsSince(begin) > secondsMax) break;
  }
  return { perSecond: decisions / secondsSince(begin), decisions, full };
}

/** On a fleet that is nearly full: one leaves by chance, one comes. Decisions alone are counted, their time includes both. */
export function churnOf(kind: EngineKind, fleet: Fleet, shapes: readonly Shape[], seed: number, turns: number): number {
  const engine = kind(fleet, shapes);
  const next = randomFrom(seed.toString(16).padStart(8, "0").repeat(4));
  const placed: { node: number; shape: number }[] = [];
  const come = (): boolean => {
    const shape = next() % shapes.length;
    const node = engine.place(shape, []);
    if (node >= 0) placed.push({ node, shape });
    return node >= 0;
  };
  const go = (): void => {
    const at = next() % placed.length;
    const { node, shape } = placed[at]!;
    placed[at] = placed.at(-1)!;
    placed.pop();
    engine.release(node, shape);
  };
  while (come());
  for (let gone = Math.floor(placed.length / 12); gone > 0; gone -= 1) go();
  const begin = process.threadCpuUsage();
  for (let turn = 0; turn < turns; turn += 1) {
    come();
    go();
  }
  return turns / secondsSince(begin);
}

function secondsSince(begin: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(begin);
  return (user + system) / 1e6;
}
