// core/app: variables that are another app's. The draft keeps where they come from, each release the value of its own moment.
import { expect, it } from "vitest";
import { referenceText } from "../../contracts/environment.ts";
import type { AppId } from "../../contracts/ids.ts";
import { BenchApp, as, spec, value } from "./bench-object.ts";

const API = "app_01jzzzzzzze0a0000000000001" as AppId;
const reference = referenceText({ app: API, name: "DATABASE_URL" });
const change = (app: BenchApp, set: Record<string, string>, more: object = {}) =>
  app.take({ kind: "changeEnvironment", input: { ...as(null), set, unset: [], ...more } });
const resolvedTo = (sealed: string) => ({ resolved: { URL: { reference, sealed } } });
const deploy = (app: BenchApp, sealed: string): void => {
  const asked = { ...as(null), spec: spec({}), replicas: 2, privateImage: false };
  value(app.take({ kind: "acceptRelease", input: { ...asked, ...resolvedTo(sealed) } }));
  app.bringUp();
};
const stored = (app: BenchApp, names = ["URL"]) => value(app.take({ kind: "readDraft", input: { names } }));
const environments = (app: BenchApp) => Object.fromEntries(app.tables.environments);

it("keeps where a variable comes from, and makes no release without its value", () => {
  const app = new BenchApp();
  value(change(app, { URL: reference, OWN: "{sealed}" }));
  expect(stored(app)).toMatchObject({
    names: ["OWN", "URL"],
    references: { URL: { app: API, name: "DATABASE_URL" } },
    stored: { URL: reference },
  });
  deploy(app, "{first}");
  const before = JSON.stringify([...app.tables.environments]);
  const refused = change(app, { OWN: "{other}" });
  expect(refused).toMatchObject({ ok: false, failure: { code: "conflict", unresolved: { URL: reference } } });
  expect(JSON.stringify([...app.tables.environments])).toBe(before);
});

it("puts the value of the moment into the release, and of a rollback's release the place that it came from", () => {
  const app = new BenchApp();
  value(change(app, { URL: reference }));
  deploy(app, "{first}");
  const second = value(change(app, { OWN: "{own}" }, resolvedTo("{second}"))).release!.id;
  expect(environments(app)[second]).toEqual({ URL: "{second}", OWN: "{own}" });
  expect(environments(app).draft).toEqual({ URL: reference, OWN: "{own}" });
  value(app.take({ kind: "rollback", input: { ...as(null), version: 1 } }));
  expect(environments(app).draft).toEqual({ URL: reference });
});

it("takes no value that was looked up for another place than the draft names now", () => {
  const app = new BenchApp();
  value(change(app, { URL: reference }));
  deploy(app, "{first}");
  const elsewhere = { resolved: { URL: { reference: `${reference}_2`, sealed: "{x}" } } };
  expect(change(app, { OWN: "{own}" }, elsewhere)).toMatchObject({ ok: false, failure: { code: "conflict" } });
});

it("hands nothing to be wrapped anew that is no value, and forgets a release's places with it", () => {
  const app = new BenchApp();
  value(change(app, { URL: reference }));
  deploy(app, "{first}");
  const { items } = value(app.take({ kind: "readSealed", input: { after: null } }));
  expect(items.map(({ sealed }) => sealed)).toEqual(["{first}"]);
});
