// What must have caught up once something that was away is back: no gap in any source's events, nor in any node's metering.
import pg from "pg";
import { eventually, type World } from "./support.ts";

interface Arrived {
  /** Sources and nodes of which something in between, or at the beginning, is not there. */
  readonly gaps: readonly string[];
  /** Rows of metering, of the node that has fewest. */
  readonly meteredMin: number;
}

const GAP = "count(*) <> max(seq) - min(seq) + 1 or min(seq) <> 1";
const GAPS = `select source as of from events group by 1 having ${GAP}
  union all select node_id::text from metering_rows group by 1 having ${GAP}`;
const METERED = `select coalesce(min(rows), 0)::int as fewest from (
  select count(seq) as rows from nodes left join metering_rows on node_id = nodes.id group by nodes.id) counted`;

async function arrivedIn(client: pg.Client): Promise<Arrived> {
  const { rows: gaps } = await client.query<{ of: string }>(GAPS);
  const { rows: metered } = await client.query<{ fewest: number }>(METERED);
  return { gaps: gaps.map(({ of }) => of), meteredMin: metered[0]!.fewest };
}

/** rowsOfEach: of metering, that each node must at least have told by then. */
export async function caughtUp(world: World, { rowsOfEach = 0 } = {}): Promise<void> {
  const client = new pg.Client({ connectionString: world.stack.postgres.adminUrl });
  await client.connect();
  try {
    await eventually(
      () => arrivedIn(client),
      ({ gaps, meteredMin }) => gaps.length === 0 && meteredMin >= rowsOfEach,
      { withinMs: 60_000, everyMs: 500 },
    );
  } finally {
    await client.end();
  }
}
