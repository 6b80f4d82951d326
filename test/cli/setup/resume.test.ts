// A set-up that is cut off after each call that changes something, with the answer lost: run again until it is whole, it makes nothing twice.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endState, expectedEndState } from "./end-state.ts";
import { startGround, type Ground } from "./ground.ts";

let ground: Ground;
beforeAll(async () => {
  ground = await startGround();
  ground.zone.records.push({
    id: "site",
    name: "www.example.com",
    type: "A",
    content: "192.0.2.1",
    proxied: true,
    ttl: 1,
    comment: null,
  });
});
afterAll(() => ground.end());

/** In the order in which they are asked for. Each is cut off once. The second Worker's upload is left out: wrangler repeats it by itself. */
/** After it the second Worker lacks the tickets' key, and the set-up goes on from another machine, which does not have it. */
const LAST_WITH_ONE_WORKER = /PUT .*\/workers\/scripts\/berth-control\/schedules$/;
const CUT_OFF = [
  /POST .*\/storage\/kv\/namespaces$/,
  /POST .*\/r2\/buckets$/,
  /POST .*\/certificate_packs\/order$/,
  /POST .*\/dns_records$/,
  /PUT .*\/workers\/scripts\/berth-control$/,
  LAST_WITH_ONE_WORKER,
  /POST .*\/workers\/routes$/,
  /PUT .*\/fallback_origin$/,
];

test(
  "cut off at each step and run again, it ends as if it had never been interrupted",
  // A dozen real deploys: half a minute where nothing else runs.
  { timeout: 400_000 },
  async () => {
    const { cloudflare, account } = ground;
    ground.zone.hasAdvancedCertificates = false;
    await expect(ground.setupHere()).rejects.toThrow("The certificate for *.apps.example.com was refused");
    ground.zone.hasAdvancedCertificates = true;
    account.namespaces.pop();
    account.buckets.clear();
    let interruptions = 0;
    let secretsBefore = new Map<string, string>();
    for (const call of CUT_OFF) {
      cloudflare.loseAnswerTo = call;
      const before = cloudflare.calls.length;
      await ground.setupHere().catch((error: Error) => {
        interruptions += 1;
        expect(error.message).toMatch(/cannot be reached|could not be deployed/);
      });
      expect(cloudflare.loseAnswerTo, `${call} was never asked`).toBeNull();
      // Not one call that the stand-in took for a fault, nor for a thing that is there already; 412 is wrangler's own second try.
      const bad = cloudflare.calls.slice(before).filter(({ status }) => status >= 400 && ![404, 412].includes(status));
      expect(bad).toEqual([]);
      if (call !== LAST_WITH_ONE_WORKER) continue;
      secretsBefore = new Map(account.scripts.get("berth-control")?.secrets);
      expect(account.scripts.has("berth-edge")).toBe(false);
      ground.otherMachine();
    }
    expect(interruptions).toBeGreaterThan(5);
    await ground.setupHere();
    expect(endState(ground)).toEqual(expectedEndState);
    expect(account.scripts.get("berth-control")?.migrationTag).toBe("v1");
    expect(await ground.setupHere()).toEqual([]);
    // The one key that nothing was ever signed with is new, and the same on both; every other secret is the first one.
    const secrets = account.scripts.get("berth-control")?.secrets;
    const changed = [...secretsBefore].filter(([name, value]) => secrets?.get(name) !== value).map(([name]) => name);
    expect(changed).toEqual(["TICKET_SIGNING_KEY"]);
    expect(ticketKeys()[0]).toBe(ticketKeys()[1]);
    expect(keptFiles()).toEqual([]);
  },
);

const ticketKeys = () =>
  ["berth-control", "berth-edge"].map((name) => ground.account.scripts.get(name)?.secrets.get("TICKET_SIGNING_KEY"));
/** On the second machine nothing is left to keep. */
const keptFiles = () => readdirSync(join(ground.cwd, "berth", "setup"));
