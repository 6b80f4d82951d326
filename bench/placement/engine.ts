// What every placement engine of the benchmark does: take a shape in, say where, and let it go again.
import type { Shape } from "./traces.ts";

export interface Engine {
  /** The node, or -1: refused. domains: failure domains that are not to be used. */
  place(shape: number, takenDomains: readonly string[]): number;
  release(node: number, shape: number): void;
  domainOf(node: number): string;
}

/** shapes: all that will ever be placed; engines are asked by index into them. */
export interface Fleet {
  readonly nodes: readonly Shape[];
  readonly domains: number;
}
export type EngineKind = (fleet: Fleet, shapes: readonly Shape[]) => Engine;

export const domainName = (node: number, domains: number): string => `rack-${node % domains}`;
