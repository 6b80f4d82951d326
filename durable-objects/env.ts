// The bindings that the objects use. The control Worker's environment (workers/control/env.ts) extends it.
import type {
  AppRpc,
  CellRpc,
  GatewayProbeRpc,
  HostRpc,
  InstanceProbeRpc,
  OutboxSinkRpc,
  RateLimitRpc,
  RegionRpc,
  VerifierRpc,
} from "./rpc.ts";

/** A namespace whose stubs speak one of our RPC interfaces. */
export interface ObjectNamespace<Rpc> {
  getByName(name: string): Rpc & { fetch(input: Request | string, init?: RequestInit): Promise<Response> };
}

/** Where routes lie for the edge: Workers KV, or a self-hosted platform's table of them. */
export interface RouteStore {
  get(key: string, options: { readonly type: "json"; readonly cacheTtl: number }): Promise<unknown>;
  put(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
}

/** App objects are named by the app's id, Cells by the cell's name, Regions by the region, Hosts by the hostname. */
export interface ObjectEnv {
  readonly APP: ObjectNamespace<AppRpc>;
  readonly CELL: ObjectNamespace<CellRpc>;
  readonly REGION: ObjectNamespace<RegionRpc>;
  readonly HOST: ObjectNamespace<HostRpc>;
  readonly RATE_LIMIT: ObjectNamespace<RateLimitRpc>;
  readonly ROUTES: RouteStore;
  /** JSON of numbers that replace defaults of core/limits.ts in tests and local stacks, such as {"drainMs": 2000}. */
  readonly TUNING?: string;
}

/** The entrypoints that the control Worker's main module exports beside the objects; reached through ctx.exports. */
export interface ControlExports {
  readonly OutboxSink: OutboxSinkRpc;
  readonly Verifier: VerifierRpc;
  readonly GatewayProbe: GatewayProbeRpc;
  readonly InstanceProbe: InstanceProbeRpc;
}
