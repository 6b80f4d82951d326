// A database's copy: every row of every table as of one moment, and the same rows in an empty one, all or none.
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BerthEvent } from "../../contracts/events.ts";
import type { AppId } from "../../contracts/ids.ts";
import { openDump } from "../../db/copy/dump.ts";
import { openLoad } from "../../db/copy/load.ts";
import { namedObjects } from "../../db/copy/named-objects.ts";
import { teamSql } from "../../db/copy/team-sql.ts";
import { mintId, toUuid } from "../../db/ids.ts";
import { acceptEvents } from "../../db/queries/outbox.ts";
import { addTeam, emptyDatabase, passwords, testDatabase, type TestDatabase } from "./database.ts";
import { urlFor } from "../../db/migrate.ts";

let from: TestDatabase;
let to: TestDatabase;
beforeAll(async () => {
  [from, to] = await Promise.all([testDatabase(), testDatabase()]);
  const { team } = await addTeam(from, "copied");
  const source = `app:${mintId<AppId>("app")}`;
  const data = { odd: 'ä\u2028"\\ \n', big: 9_007_199_254_740_991, list: [null, 1.5, -0.1], empty: {} };
  const events = [1, 2, 3].map((seq): BerthEvent => {
    const id = `${source}#${seq}` as BerthEvent["id"];
    return {
      id,
      source,
      seq,
      type: "app.scaled",
      version: 1,
      team,
      subject: "s",
      actor: "a",
      causeId: null,
      atMs: 1_700_000_000_123,
      data,
    };
  });
  await acceptEvents(from.app, { source, events });
});
afterAll(() => Promise.all([from?.close(), to?.close()]));

type Copy = Map<string, { columns: readonly string[]; lines: string[] }>;

async function copied(adminUrl: string): Promise<Copy> {
  const dump = await openDump(adminUrl);
  try {
    const copy: Copy = new Map();
    for (const table of dump.tables) {
      const lines: string[] = [];
      for await (const some of dump.rows(table)) lines.push(...some);
      copy.set(table.name, { columns: table.columns, lines });
    }
    return copy;
  } finally {
    await dump.close();
  }
}

describe("a database's copy", () => {
  it("has each row of each table, and puts the same rows into an empty database", async () => {
    const copy = await copied(from.adminUrl);
    expect([...copy].filter(([, { lines }]) => lines.length > 0).map(([name]) => name)).toEqual(
      expect.arrayContaining(["events", "outbox_sources", "teams", "users"]),
    );
    const load = await openLoad(to.adminUrl);
    expect(await load.firstFilled()).toBeNull();
    for (const [table, { columns, lines }] of copy) if (lines.length > 0) await load.insert(table, columns, lines);
    await load.commit();
    await load.close();
    const again = await copied(to.adminUrl);
    for (const [table, { lines }] of copy) expect(again.get(table)!.lines.toSorted(), table).toEqual(lines.toSorted());
  });

  it("leaves nothing behind where it is not committed", async () => {
    const empty = await testDatabase();
    const copy = await copied(from.adminUrl);
    const load = await openLoad(empty.adminUrl);
    for (const [table, { columns, lines }] of copy) if (lines.length > 0) await load.insert(table, columns, lines);
    await load.close();
    const counts = await empty.admin.query("select count(*)::int as rows from events");
    expect(counts.rows).toEqual([{ rows: 0 }]);
    await empty.close();
  });

  it("is refused to a role from which row-level security hides rows", async () => {
    const owner = urlFor(from.adminUrl, "berth_owner", passwords.owner);
    await expect(openDump(owner)).rejects.toThrow("does not see all rows");
  });

  it("shows one moment, whatever is written while it is read", async () => {
    const dump = await openDump(from.adminUrl);
    const before = await dump.ask<{ rows: number }>("select count(*)::int as rows from teams");
    await addTeam(from, "later");
    expect(await dump.ask("select count(*)::int as rows from teams")).toEqual(before);
    await dump.close();
  });

  it("names every object that its rows speak of, Apps before Cells", async () => {
    const rows: Record<string, object[]> = {
      apps: [{ id: "0190163d-8694-739b-aea5-966c26f8ad91" }],
      hostnames: [{ name: "web.example" }],
      nodes: [{ name: "eu-west.0" }, { name: "eu-west.11" }],
    };
    const ask = async (statement: string) => rows[/from (\w+)/.exec(statement)![1]!] as never;
    const named = await namedObjects({ ask });
    expect(named.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      "region eu-west",
      "host web.example",
      expect.stringMatching(/^app app_/),
      "cell eu-west.0",
      "cell eu-west.11",
    ]);
  });
});

describe("a team's rows as SQL", () => {
  it("go into any database, hold what is the team's, and nothing of another or what opens something", async () => {
    const { team } = await addTeam(from, "exported");
    const other = await addTeam(from, "stays");
    let text = "";
    for await (const piece of teamSql(from.adminUrl, team)) text += piece;
    expect(text).toContain(toUuid(team, "team"));
    expect(text).not.toContain(toUuid(other.team, "team"));
    expect(text).not.toContain("api_tokens");
    const elsewhere = new pg.Client({ connectionString: await emptyDatabase() });
    await elsewhere.connect();
    await elsewhere.query(text);
    const { rows } = await elsewhere.query("select count(*)::int as rows from memberships");
    expect(rows).toEqual([{ rows: 1 }]);
    const { rows: teams } = await elsewhere.query("select name from teams");
    expect(teams).toHaveLength(1);
    await elsewhere.end();
  });
});
