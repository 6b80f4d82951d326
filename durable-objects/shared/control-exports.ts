// The control Worker's own entrypoints, as the objects that live in it see them.
import type { ControlExports } from "../env.ts";

/** ctx.exports is typed by the main module, which the objects must not import; its names are settled in env.ts. */
export function controlExports(state: DurableObjectState): ControlExports {
  return state.exports as unknown as ControlExports;
}
