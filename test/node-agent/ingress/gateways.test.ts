// Whether a node is there, asked by an ingress: of the node itself, also where it is reached through another one.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeId } from "../../../bench/shared/gateway-world.ts";
import { Gateways } from "../../../node-agent/ingress/gateways.ts";
import { INGRESS_LIMITS } from "../../../node-agent/ingress/limits.ts";
import { PeerTickets } from "../../../node-agent/ingress/peer-tickets.ts";
import { RegionBook } from "../../../node-agent/ingress/region-book.ts";
import { REGION_FILE } from "../../../node-agent/snapshot-file.ts";
import { Region } from "./region.ts";

let region: Region;
let gateways: Gateways;

beforeAll(async () => {
  region = await Region.start(1);
  const { gateway, key, x } = region.member(1);
  const row = (number: number) => ({ node: nodeId(number), signKey: x, gatewayUrl: gateway.url });
  // Node 2 was reached through node 1, and its connection is gone.
  const snapshot = { region: "fra", version: 1, atMs: 0, baseDomain: "apps.test", routes: [], ports: [] };
  await writeFile(join(gateway.dir, REGION_FILE), JSON.stringify({ ...snapshot, nodes: [row(1), row(2)] }));
  const book = new RegionBook(gateway.dir);
  await book.look();
  gateways = new Gateways(book, new PeerTickets(nodeId(1), key, INGRESS_LIMITS), INGRESS_LIMITS, () => Date.now());
});
afterAll(() => region?.close());

test("a relay that lives does not make the node behind it look alive", async () => {
  expect(await gateways.answers(nodeId(1))).toBe(true);
  expect(await gateways.answers(nodeId(2))).toBe(false);
});
