// What must hold of an App's rollouts after every step: 6, 11, 21, 22, and that bad releases are found out.
import type { InstanceId, ReleaseId } from "../../../contracts/ids.ts";
import type { Route, RouteRelease } from "../../../contracts/route.ts";
import { seqKey } from "../../../core/keys.ts";
import { isActive, planOf, type RolloutRow, type Share, type Target } from "../../../core/rollout/types.ts";
import type { AppHost, Cluster } from "../cluster.ts";
import type { Fault } from "./checks.ts";
import { OldOnes } from "./old-ones.ts";

/** An alarm may come this late at worst, and then some. */
const ALARM_SLACK_MS = 12_000;
/** With so many requests to judge by, a twentieth of errors cannot be overlooked. */
const CERTAIN_REQUESTS = 400;

export class RolloutChecks {
  private readonly known = new Map<string, RolloutRow>();
  private readonly commanded = new Set<string>();
  private serving = "";
  private readonly oldOnes: OldOnes;
  private readonly cluster: Cluster;
  private readonly host: AppHost;
  private readonly fault: Fault;

  constructor(cluster: Cluster, host: AppHost, fault: Fault) {
    this.cluster = cluster;
    this.host = host;
    this.fault = fault;
    this.oldOnes = new OldOnes(host, fault);
  }

  look(eventsBefore: number, eventsNow: number): void {
    const { tables } = this.host;
    const ended: RolloutRow[] = [];
    for (const row of tables.rollouts.values()) {
      const before = this.known.get(row.id);
      this.checkDeadline(row);
      this.checkFall(before, row);
      if (before === row) continue;
      this.known.set(row.id, row);
      if (before) this.checkTurn(before, row);
      if (!isActive(row.phase) && (!before || isActive(before.phase))) ended.push(row);
    }
    for (const row of ended) this.noteEnd(row);
    this.checkPrepared();
    this.checkServing(ended);
    this.checkWeights();
    this.oldOnes.look();
    this.checkTruth(eventsBefore, eventsNow);
  }

  /** 22: whatever is under way has a deadline, and keeps it; it is its App's. */
  private checkDeadline({ id, phase, deadlineAtMs }: RolloutRow): void {
    if (!isActive(phase)) return;
    if (this.cluster.world.nowMs > deadlineAtMs + ALARM_SLACK_MS) this.fault(`22: ${id} is over its deadline`);
    if (this.host.tables.app.get("app")!.rollout !== id) this.fault(`22: ${id} is active but nobody's`);
  }

  /** 22: a release that fell with its traffic is waited for once, and no longer than its patience, in whatever phase. */
  private checkFall(before: RolloutRow | undefined, { id, phase, fall }: RolloutRow): void {
    if (!isActive(phase) || !fall || fall.backAtMs !== null) return;
    if (before?.fall?.sinceMs !== fall.sinceMs) this.cluster.world.happened("release fell");
    const backAtMs = before?.fall?.backAtMs ?? null;
    if (backAtMs !== null && fall.sinceMs < backAtMs + this.cluster.limits.fallResetMs)
      this.fault(`22: ${id} fell again, and is waited for while it is ${phase.kind}`);
    const untilMs = fall.sinceMs + this.cluster.limits.fallPatienceMs + ALARM_SLACK_MS;
    if (this.cluster.world.nowMs > untilMs) this.fault(`22: ${id} fell, and is waited for while it is ${phase.kind}`);
  }

  /** 21: nothing has traffic whose command before has not ended well; whatever was split, scaled or rolled back to. */
  private checkPrepared(): void {
    for (const { release, version, weight } of this.releasesOf()) {
      if (weight > 0 && this.host.tables.releases.get(release)?.prepared === false)
        this.fault(`21: v${version} has ${weight} %, and its command before did not end well`);
    }
  }

  /** 22: revisions rise with every turn; what has ended stays as it is. 21: more weight only for what has answered. */
  private checkTurn(before: RolloutRow, row: RolloutRow): void {
    const isTurn =
      before.phase.kind !== row.phase.kind ||
      before.stage !== row.stage ||
      Boolean(before.paused) !== Boolean(row.paused);
    const [was = 0, is = 0] = [before.revision, row.revision];
    if (is < was || (isTurn && is === was))
      this.fault(`22: ${row.id} turned, and its revision went from ${was} to ${is}`);
    if (!isActive(before.phase) && before.phase.kind !== row.phase.kind) {
      this.fault(`22: ${row.id} was ${before.phase.kind} and is ${row.phase.kind}`);
    }
    if (this.host.lastEvent === "controlRollout") this.commanded.add(row.id);
    if ((row.weight ?? 0) > (before.weight ?? 0)) this.checkAnswered(row);
  }
  private checkAnswered({ id, to, weight }: RolloutRow): void {
    const answered = this.releasesOf().find(({ release }) => release === to.release);
    for (const { instance, generation } of answered?.endpoints ?? []) {
      const row = this.host.tables.instances.get(instance);
      if (row?.cohort !== to.cohort || this.cluster.answered.has(`${instance}/${generation}`)) continue;
      this.fault(`21: ${id} has ${weight} %, but ${instance} never answered through the edge`);
    }
  }

  /** 11: only a rollout that completes changes what serves; but for its size. */
  private checkServing(ended: readonly RolloutRow[]): void {
    const { current, aside = [], phase } = this.host.tables.app.get("app")!;
    const text = current ? sharesOf(current, aside).map(({ target, weight }) => `${target.cohort}=${weight}`) : [];
    const serving = text.join();
    const before = this.serving;
    this.serving = serving;
    if (serving === before || phase !== "live") return;
    const isEarned = ended.some((row) => row.phase.kind === "completed" && row.to.cohort === current?.cohort);
    if (!isEarned)
      this.fault(
        `11: what serves went from ${before} to ${serving} by ${this.host.lastEvent}, and no rollout completed`,
      );
  }

  /** 11: without a rollout the route is as what serves says. 6: with one, what comes has what it has been let have. */
  private checkWeights(): void {
    const { tables } = this.host;
    const { current, aside = [], rollout, phase } = tables.app.get("app")!;
    const releases = this.releasesOf();
    if (!current || phase !== "live" || releases.length === 0) return;
    const row = rollout ? tables.rollouts.get(rollout) : undefined;
    const shares = sharesOf(current, aside);
    if (!row) return this.checkRestored(releases, shares);
    const strategy = planOf(row).strategy.kind;
    const isGradual = strategy === "canary" || strategy === "blue_green";
    if (!isGradual || row.reason === "traffic" || current.replicas === 0 || row.to.replicas === 0) return;
    if (shares.some(({ target }) => target.release === row.to.release)) return;
    const fresh = releases.find(({ release }) => release === row.to.release);
    const others = releases.filter(({ release, weight }) => release !== row.to.release && weight > 0);
    if (!fresh || others.length === 0) return;
    const granted = row.weight ?? 0;
    if (fresh.weight > granted) this.fault(`6: ${row.id} may have ${granted} %, and has ${fresh.weight}`);
    if (strategy === "blue_green" && fresh.weight > 0)
      this.fault(`6: ${row.id} switches in pieces, ${fresh.weight} % first`);
  }
  private checkRestored(releases: readonly RouteRelease[], shares: readonly Share[]): void {
    const wanted = new Map<string, number>();
    for (const { target, weight } of shares) wanted.set(target.release, (wanted.get(target.release) ?? 0) + weight);
    const served = releases.filter(({ weight }) => weight > 0);
    const strangers = served.filter(({ release }) => !wanted.has(release));
    for (const { version } of strangers) this.fault(`11: v${version} has traffic and no rollout`);
    if (served.length < wanted.size) return;
    for (const { release, version, weight } of served) {
      if (weight !== wanted.get(release))
        this.fault(`11: v${version} has ${weight} % after a rollout, not ${wanted.get(release)}`);
    }
  }

  private releasesOf(): readonly RouteRelease[] {
    const state: Route["state"] | undefined = this.host.tables.route.get("route")?.route.state;
    return state?.kind === "serving" ? state.releases : [];
  }

  /** 21: completed only when every replica answered, of all that is to serve. */
  private checkTruth(seenBefore: number, seenNow: number): void {
    const { tables } = this.host;
    for (let seq = seenBefore + 1; seq <= seenNow; seq += 1) {
      const event = tables.events.get(seqKey(seq));
      const row = event?.type === "rollout.completed" ? tables.rollouts.get(event.subject) : undefined;
      for (const { target } of row ? sharesOf(row.to, row.toAside) : []) this.checkReplicas(row!, target);
    }
  }
  private checkReplicas({ id }: RolloutRow, { cohort, replicas, version }: Target): void {
    const answered = new Set<number>();
    for (const row of this.host.tables.instances.values()) {
      if (row.cohort === cohort && this.hasAnswered(row)) answered.add(row.ordinal);
    }
    for (let ordinal = 0; ordinal < replicas; ordinal += 1) {
      if (!answered.has(ordinal))
        this.fault(`21: ${id} completed, but replica ${ordinal} of v${version} never answered through the edge`);
    }
  }
  private hasAnswered({ id, generation }: { readonly id: InstanceId; readonly generation: number }): boolean {
    return this.cluster.answered.has(`${id}/${generation}`);
  }

  private behaviourOf(release: ReleaseId): string {
    return this.host.tables.releases.get(release)?.release.spec.command?.[0] ?? "good";
  }
  private noteEnd(row: RolloutRow): void {
    const { world } = this.cluster;
    const { phase, reason } = row;
    const strategy = planOf(row).strategy.kind;
    world.happened(`${reason === "release" ? strategy : reason} rollout ${phase.kind}`);
    if (phase.kind === "failed") world.happened(`rollout failed by ${phase.failure.kind}`);
    this.checkJudged(row);
  }

  /** A release that answers a twentieth with errors beside one that does not goes back to nothing by itself. */
  private checkJudged(row: RolloutRow): void {
    const { phase, from, to, judge } = row;
    const { analysis, strategy } = planOf(row);
    if (!analysis || strategy.kind !== "canary" || !from || row.fromAside?.length || !judge) return;
    const requests = judge.totals.next.requests;
    const [bad, before] = [to, from].map(({ release }) => this.behaviourOf(release));
    const isAlarm = phase.kind === "failed" && phase.failure.kind === "analysis";
    if (isAlarm) this.cluster.world.happened(bad === "faulty" ? "bad release found out" : "good release called bad");
    if (bad !== "faulty" || before === "faulty" || phase.kind !== "completed" || this.commanded.has(row.id)) return;
    if (requests >= CERTAIN_REQUESTS && judge.totals.current.requests >= CERTAIN_REQUESTS) {
      this.fault(`judged: v${to.version} completed with ${judge.totals.next.status.s5xx} errors of ${requests}`);
    }
  }
}

const sharesOf = (primary: Target, aside: readonly Share[] = []): readonly Share[] => {
  const rest = aside.reduce((sum, { weight }) => sum + weight, 0);
  return [{ target: primary, weight: 100 - rest }, ...aside];
};
