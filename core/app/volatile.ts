// What a freshly started App object remembers: nothing; every effect that rows still ask for is due at once.
import type { AppVolatile } from "./types.ts";

export function emptyAppVolatile(): AppVolatile {
  return { attempts: new Map(), wakeAtMs: "unknown" };
}
