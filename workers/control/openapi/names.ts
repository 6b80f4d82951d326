// The names under which contracts' schemas stand in the OpenAPI document. Registered in place, so that nested ones are references too.
import { z } from "@hono/zod-openapi";
import { AgentRelease, AgentUpgrade, UpgradeCounts, UpgradeFault } from "../../../contracts/agent-release.ts";
import * as api from "../../../contracts/api.ts";
import * as environment from "../../../contracts/environment.ts";
import { Policy } from "../../../contracts/access.ts";
import * as teams from "../../../contracts/teams.ts";
import { Domain, DomainAdd, DomainCertificate, DomainInstruction } from "../../../contracts/domains.ts";
import { InstanceFailure, Problem, Refusal, RolloutFailure } from "../../../contracts/failures.ts";
import { BerthEvent } from "../../../contracts/events.ts";
import { NodeCapacity, NodeCondition, ObservedStatus } from "../../../contracts/agent-protocol.ts";
import { PlacementPolicy, Probe, Release, ReleaseSpec, Resources, Source } from "../../../contracts/release.ts";

const NAMED = {
  Accepted: api.Accepted,
  AgentRelease,
  AgentUpgrade,
  ApiToken: teams.ApiToken,
  ApiTokenCreate: teams.ApiTokenCreate,
  ApiTokenCreated: teams.ApiTokenCreated,
  App: api.App,
  AppCreate: api.AppCreate,
  AppPatch: api.AppPatch,
  AuditRecord: teams.AuditRecord,
  BerthEvent,
  Domain,
  DomainAdd,
  DomainCertificate,
  DomainInstruction,
  Environment: environment.Environment,
  EnvironmentVersion: environment.EnvironmentVersion,
  EnvPatch: environment.EnvPatch,
  EnvRollback: environment.EnvRollback,
  Instance: api.Instance,
  InstanceFailure,
  Invitation: teams.Invitation,
  InvitationAccept: teams.InvitationAccept,
  InvitationCreate: teams.InvitationCreate,
  InvitationCreated: teams.InvitationCreated,
  JoinToken: api.JoinToken,
  JoinTokenCreate: api.JoinTokenCreate,
  JoinTokenCreated: api.JoinTokenCreated,
  Member: teams.Member,
  MemberPatch: teams.MemberPatch,
  Node: api.Node,
  NodeCapacity,
  NodeCondition,
  NodeDrain: api.NodeDrain,
  NodeInstance: api.NodeInstance,
  ObservedStatus,
  PlacementPolicy,
  Policy,
  Probe,
  Problem,
  Project: api.Project,
  ProjectCreate: api.ProjectCreate,
  Rebalance: api.Rebalance,
  RebalanceCreate: api.RebalanceCreate,
  RebalanceStep: api.RebalanceStep,
  Refusal,
  Registry: api.Registry,
  RegistryLogin: api.RegistryLogin,
  Release,
  ReleaseCreate: api.ReleaseCreate,
  ReleaseSpec,
  Resources,
  RolePut: teams.RolePut,
  RollbackCreate: api.RollbackCreate,
  Rollout: api.Rollout,
  RolloutFailure,
  Session: api.Session,
  Setup: api.Setup,
  SignIn: api.SignIn,
  SignUp: api.SignUp,
  Source,
  Team: api.Team,
  TeamCreate: api.TeamCreate,
  TeamOwnRole: teams.TeamOwnRole,
  TeamRename: teams.TeamRename,
  UpgradeCounts,
  UpgradeFault,
  WhoAmI: api.WhoAmI,
};

/** zod-to-openapi reads a schema's name here; its own `.openapi(name)` would make a copy, which nested uses do not see. */
export function nameSchemas(): void {
  for (const [name, schema] of Object.entries(NAMED)) {
    z.globalRegistry.add(schema as z.ZodType, { _internal: { refId: name } });
  }
}
