// What all that serves visitors shares in one ingress process.
import type { Station } from "../gateway/serving.ts";
import type { UpstreamPool } from "../gateway/upstream.ts";
import type { WayPolicy } from "../gateway/way.ts";
import type { Gateways } from "./gateways.ts";
import type { Held } from "./held.ts";
import type { RegionBook } from "./region-book.ts";
import type { Tastes } from "./tastes.ts";

export interface Ingress {
  readonly station: Station;
  readonly book: RegionBook;
  readonly gateways: Gateways;
  /** Connections to them. */
  readonly pool: UpstreamPool;
  /** Of every exchange: the gateways know the apps' own limits and keep them. */
  readonly policy: WayPolicy;
  readonly held: Held;
  readonly tastes: Tastes;
}
