// What history tells from events: releases, rollouts, metering. Each statement takes only what its batch accepts (outbox.ts).
import { sql, type SQL } from "drizzle-orm";
import { MeteringRow } from "../../contracts/agent-protocol.ts";
import { Rollout } from "../../contracts/api.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import { NodeId } from "../../contracts/ids.ts";
import { Release } from "../../contracts/release.ts";
import type { Statements } from "../connect.ts";
import { toUuid } from "../ids.ts";
import { releaseHistory, rolloutHistory } from "../schema/history.ts";
import { meteringCounters, meteringRows } from "../schema/metering.ts";
import { storable } from "./json.ts";

/** What a batch accepts: events after this seq. Set by its compare-and-set (outbox.ts); it ends with the transaction. */
export const ACCEPT_AFTER = sql`current_setting('berth.accept_after')::bigint`;
const iso = (ms: number) => new Date(ms).toISOString();
const ofApp = (event: BerthEvent) => ({
  team_id: event.team === null ? null : toUuid(event.team, "team"),
  app_id: toUuid(event.source.slice("app:".length), "app"),
});

/** No statement where there is no row: most deliveries project nothing. */
function project(statements: Statements, rows: readonly unknown[], statement: (rows: SQL) => SQL) {
  return rows.length === 0 ? [] : [statements.execute(statement(sql`${storable(rows)}::jsonb`))];
}

/** From `release.created` {release}. */
export function projectReleases(statements: Statements, events: readonly BerthEvent[]) {
  const rows = events.flatMap((event) => {
    if (event.type !== "release.created" || event.team === null) return [];
    const release = Release.safeParse(event.data.release);
    if (!release.success) return [];
    const { id, version, createdBy, createdAtMs } = release.data;
    return [
      {
        ...ofApp(event),
        id: toUuid(id, "rel"),
        version,
        release: release.data,
        created_by: createdBy,
        created_at: iso(createdAtMs),
        seq: event.seq,
      },
    ];
  });
  return project(
    statements,
    rows,
    (given) => sql`
    insert into ${releaseHistory} (id, team_id, app_id, version, release, created_by, created_at, seq)
    select id, team_id, app_id, version, release, created_by, created_at, seq
    from jsonb_to_recordset(${given}) as r(id uuid, team_id uuid, app_id uuid, version integer, release jsonb,
      created_by text, created_at timestamptz, seq bigint)
    where seq > ${ACCEPT_AFTER} on conflict (id) do nothing`,
  );
}

/** From every `rollout.*` {rollout}: the newest of each in this delivery. */
export function projectRollouts(statements: Statements, events: readonly BerthEvent[]) {
  const newest = new Map<string, object>();
  for (const event of events) {
    if (!event.type.startsWith("rollout.") || event.team === null) continue;
    const rollout = Rollout.safeParse(event.data.rollout);
    if (!rollout.success) continue;
    const { id, phase, startedBy, startedAtMs, endedAtMs } = rollout.data;
    newest.set(id, {
      ...ofApp(event),
      id: toUuid(id, "roll"),
      phase,
      rollout: rollout.data,
      started_by: startedBy,
      started_at: iso(startedAtMs),
      ended_at: endedAtMs === null ? null : iso(endedAtMs),
      seq: event.seq,
    });
  }
  return project(
    statements,
    [...newest.values()],
    (given) => sql`
    insert into ${rolloutHistory} (id, team_id, app_id, phase, rollout, started_by, started_at, ended_at, seq)
    select id, team_id, app_id, phase, rollout, started_by, started_at, ended_at, seq
    from jsonb_to_recordset(${given}) as r(id uuid, team_id uuid, app_id uuid, phase text, rollout jsonb,
      started_by text, started_at timestamptz, ended_at timestamptz, seq bigint)
    where seq > ${ACCEPT_AFTER}
    on conflict (id) do update set phase = excluded.phase, rollout = excluded.rollout, ended_at = excluded.ended_at,
      seq = excluded.seq where ${rolloutHistory}.seq < excluded.seq`,
  );
}

/** From `node.metered`, whose data is one MeteringRow. A row that a second event brings again is the same row. */
export function projectMetering(statements: Statements, events: readonly BerthEvent[]) {
  const metered = events.flatMap((event) => {
    if (event.type !== "node.metered") return [];
    const row = MeteringRow.safeParse(event.data);
    const node = NodeId.safeParse(event.subject);
    if (!row.success || !node.success) return [];
    return [{ ...row.data, node_id: toUuid(node.data, "node"), event_seq: event.seq }];
  });
  const rows = metered.map(({ node_id, event_seq, seq, fromMs, toMs }) => ({
    node_id,
    event_seq,
    seq,
    from_at: iso(fromMs),
    to_at: iso(toMs),
  }));
  const counters = metered.flatMap(({ node_id, event_seq, seq, toMs, instances }) =>
    instances.map((counter) => ({ node_id, event_seq, seq, to_at: iso(toMs), ...countersOf(counter) })),
  );
  return [
    ...project(
      statements,
      rows,
      (given) => sql`
      insert into ${meteringRows} (node_id, seq, from_at, to_at)
      select node_id, seq, from_at, to_at from jsonb_to_recordset(${given})
        as r(node_id uuid, event_seq bigint, seq bigint, from_at timestamptz, to_at timestamptz)
      where event_seq > ${ACCEPT_AFTER} on conflict do nothing`,
    ),
    ...project(statements, counters, insertCounters),
  ];
}

function countersOf({
  instance,
  generation,
  app,
  team,
  release,
  status,
  ...counter
}: MeteringRow["instances"][number]) {
  return {
    instance_id: toUuid(instance, "ins"),
    generation,
    team_id: toUuid(team, "team"),
    app_id: toUuid(app, "app"),
    release_id: toUuid(release, "rel"),
    running_ms: counter.runningMs,
    cpu_ms: counter.cpuMs,
    memory_byte_ms: counter.memoryByteMs,
    requests: counter.requests,
    requests_1xx: status.s1xx,
    requests_2xx: status.s2xx,
    requests_3xx: status.s3xx,
    requests_4xx: status.s4xx,
    requests_5xx: status.s5xx,
    bytes_in: counter.bytesIn,
    bytes_out: counter.bytesOut,
  };
}

const COUNTER_COLUMNS = sql.raw(
  "node_id, seq, instance_id, generation, team_id, app_id, release_id, to_at, running_ms, cpu_ms, memory_byte_ms, " +
    "requests, requests_1xx, requests_2xx, requests_3xx, requests_4xx, requests_5xx, bytes_in, bytes_out",
);

const insertCounters = (given: SQL) => sql`
  insert into ${meteringCounters} (${COUNTER_COLUMNS})
  select ${COUNTER_COLUMNS} from jsonb_to_recordset(${given}) as r(node_id uuid, event_seq bigint, seq bigint,
    instance_id uuid, generation integer, team_id uuid, app_id uuid, release_id uuid, to_at timestamptz,
    running_ms double precision, cpu_ms double precision, memory_byte_ms double precision, requests bigint,
    requests_1xx bigint, requests_2xx bigint, requests_3xx bigint, requests_4xx bigint, requests_5xx bigint,
    bytes_in bigint, bytes_out bigint)
  where event_seq > ${ACCEPT_AFTER} on conflict do nothing`;
