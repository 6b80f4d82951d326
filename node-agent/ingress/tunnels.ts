// Two connections joined into one: the end of what one says is the end for the other too, and each goes with the other.
import type { Duplex } from "node:stream";

/** over: once, when both are. */
export function join(one: Duplex, other: Duplex, over: () => void): void {
  let open = 2;
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on("error", () => to.destroy());
    from.once("close", () => {
      to.destroySoon?.();
      open -= 1;
      if (open === 0) over();
    });
    from.pipe(to);
  }
}

declare module "node:stream" {
  interface Duplex {
    /** Of sockets: after what was written. */
    destroySoon?(): void;
  }
}
