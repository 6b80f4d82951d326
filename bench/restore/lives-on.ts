// Whether restored apps take changes, and whether what they say arrives: a gap in a source's numbers would hold it up for ever.
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Platform } from "./fill.ts";

const WITHIN_MS = 20_000;

/** Changes each app by name; how many of their events came. */
export async function livesOn({ controlUrl, token, adminUrl }: Platform, names: readonly string[]): Promise<number> {
  for (const name of names) {
    const answer = await fetch(new URL(`/v1/apps/${name}`, controlUrl), {
      method: "PATCH",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ maintenance: true }),
    });
    if (!answer.ok) throw new Error(`${name} after the restore: ${answer.status} ${await answer.text()}`);
  }
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    for (const deadlineMs = performance.now() + WITHIN_MS; ; await sleep(500)) {
      const { rows } = await client.query<{ came: number }>(
        "select count(distinct source)::int as came from events where type = 'app.maintenance'",
      );
      const came = rows[0]?.came ?? 0;
      if (came >= names.length || performance.now() > deadlineMs) return came;
    }
  } finally {
    await client.end();
  }
}
