// A server's gateway: a process of its own that serves what the endpoint file names, also while the agent is away.
import type { AppId, InstanceId } from "../../../contracts/ids.ts";
import type { World } from "../world.ts";
import type { Container } from "./engine.ts";

export type EndpointState = "starting" | "serving" | "draining" | "gone";
export interface EndpointRow {
  readonly instance: InstanceId;
  readonly generation: number;
  readonly app: AppId;
  readonly state: EndpointState;
}
export interface EndpointFile {
  readonly routes: Readonly<Record<string, number>>;
  readonly rows: readonly EndpointRow[];
}
const NOTHING: EndpointFile = { routes: {}, rows: [] };

export class Gateway {
  isUp = true;
  private file: EndpointFile = NOTHING;
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  load(file: EndpointFile | null): void {
    if (this.isUp) this.file = file ?? NOTHING;
  }
  start(file: EndpointFile | null): void {
    this.isUp = true;
    this.file = file ?? NOTHING;
  }
  stop(): void {
    this.isUp = false;
    this.file = NOTHING;
  }

  routeVersion(app: AppId): number | undefined {
    return this.file.routes[app];
  }

  rows(): readonly EndpointRow[] {
    return this.isUp ? this.file.rows : [];
  }

  /** 200: it answered. 421: the instance is not here. 502: it is, but does not answer. null: nobody there. */
  serve(instance: InstanceId, generation: number, containers: Iterable<Container>): 200 | 421 | 502 | null {
    if (!this.isUp) return null;
    const row = this.file.rows.find((each) => each.instance === instance && each.generation === generation);
    if (!row || row.state === "starting" || row.state === "gone") return 421;
    for (const container of containers) {
      if (container.instance !== instance || container.generation !== generation) continue;
      return answersIn(container, this.world.nowMs) ? 200 : 502;
    }
    return 502;
  }
}

/** Whether the app inside would pass its readiness probe now. */
export const answersIn = ({ state, readyAtMs, sickUntilMs }: Container, nowMs: number): boolean =>
  state === "running" && nowMs >= readyAtMs && nowMs >= sickUntilMs;
