// What each route of the API asks of its caller, by operationId: the one table. A route without a line keeps the Worker from starting.
import type { Action, Resource } from "../../../contracts/access.ts";
import type { Api } from "./context.ts";

/**
 * public: nobody need be known. signed_in: any caller. session: a person who signed in, no API token. asks: who may this action upon
 * this resource (core/authorise), an operator where the resource is the installation's; bySession: and by no API token, because one
 * that leaked must not change who comes in. deed: its name in the audit.
 */
export type Access =
  | { readonly kind: "public"; readonly deed: string }
  | { readonly kind: "signed_in"; readonly deed: string }
  | { readonly kind: "session"; readonly deed: string }
  | {
      readonly kind: "asks";
      readonly resource: Resource;
      readonly action: Action;
      readonly bySession: boolean;
      readonly deed: string;
    };

const open = (deed: string): Access => ({ kind: "public", deed });
const signedIn = (deed: string): Access => ({ kind: "signed_in", deed });
const session = (deed: string): Access => ({ kind: "session", deed });
const may = (resource: Resource, action: Action, deed = `${resource}.${action}`): Access => ({
  kind: "asks",
  resource,
  action,
  bySession: false,
  deed,
});
const inPerson = (resource: Resource, action: Action, deed: string): Access => ({
  ...{ kind: "asks", resource, action, bySession: true, deed },
});

export const ACCESS: Readonly<Record<string, Access>> = {
  setup: open("installation.setup"),
  signUp: open("user.sign_up"),
  verifyEmail: open("user.verify_email"),
  signIn: open("user.sign_in"),
  signOut: open("user.sign_out"),
  askPasswordReset: open("user.ask_password_reset"),
  finishPasswordReset: open("user.reset_password"),
  beginDeviceLogin: open("device.begin"),
  askDeviceLogin: open("device.ask"),
  whoAmI: signedIn("user.read"),

  showAccount: session("user.show"),
  changePassword: session("user.change_password"),
  changeEmail: session("user.ask_email_change"),
  beginSecondFactor: session("second_factor.begin"),
  confirmSecondFactor: session("second_factor.on"),
  endSecondFactor: session("second_factor.off"),
  makeRecoveryCodes: session("recovery_codes.make"),
  listSessions: session("session.list"),
  endSession: session("session.end"),
  endSessions: session("session.end_all"),
  listOperators: may("installation", "read", "operator.list"),
  addOperator: inPerson("installation", "update", "operator.add"),
  removeOperator: inPerson("installation", "update", "operator.remove"),
  enterTeam: inPerson("installation", "update", "operator_entry.open"),
  leaveTeam: may("installation", "update", "operator_entry.end"),
  listOperatorEntries: may("team", "read", "operator_entry.list"),
  endOperatorEntry: may("team", "update", "operator_entry.end"),
  inviteToSignUp: may("installation", "update", "user.invite"),
  removeSecondFactor: inPerson("installation", "update", "second_factor.remove"),

  createTeam: session("team.create"),
  listTeams: signedIn("team.list"),
  renameTeam: may("team", "update", "team.rename"),
  readSignInPolicy: may("team", "read", "sign_in_policy.read"),
  requireSecondFactor: inPerson("team", "update", "second_factor.require"),
  // Whoever says who people are can be any of them, an owner too: so it asks for what owners alone have.
  putSingleSignOn: inPerson("team", "delete", "single_sign_on.put"),
  deleteSingleSignOn: inPerson("team", "delete", "single_sign_on.delete"),
  listMembers: may("member", "read"),
  changeMember: may("member", "update"),
  removeMember: may("member", "delete", "member.remove"),
  inviteMember: may("member", "create", "member.invite"),
  listInvitations: may("member", "create", "invitation.list"),
  revokeInvitation: may("member", "create", "invitation.revoke"),
  acceptInvitation: session("invitation.accept"),
  listRoles: may("role", "read"),
  putRole: may("role", "update", "role.put"),
  deleteRole: may("role", "delete"),
  createToken: may("token", "create"),
  listTokens: may("token", "read"),
  revokeToken: may("token", "delete", "token.revoke"),
  createProject: may("project", "create"),
  listProjects: may("project", "read"),
  listPlans: signedIn("plan.list"),
  readQuota: may("team", "read", "quota.read"),
  readTeamQuota: may("installation", "read", "quota.read"),
  putTeamQuota: may("installation", "update", "quota.set"),
  listKeys: may("installation", "read", "key.list"),
  prepareKey: may("installation", "update", "key.prepare"),
  activateKey: may("installation", "update", "key.activate"),
  retireKey: may("installation", "update", "key.retire"),
  sweepKeys: may("installation", "update", "key.sweep"),
  readImagePolicy: may("team", "read", "image_policy.read"),
  putImagePolicy: may("team", "update", "image_policy.set"),
  readInstallationImagePolicy: may("installation", "read", "image_policy.read"),
  putInstallationImagePolicy: may("installation", "update", "image_policy.set"),
  listAudit: may("audit", "read"),
  exportAudit: may("audit", "read", "audit.export"),

  createApp: may("app", "create"),
  listApps: may("app", "read"),
  readApp: may("app", "read"),
  patchApp: may("app", "update"),
  destroyApp: may("app", "delete", "app.destroy"),
  restart: may("app", "update", "app.restart"),
  listInstances: may("app", "read"),
  putBundle: may("release", "create", "bundle.put"),
  // What is in it nobody sees who may only look at releases.
  getBundle: may("release", "create", "bundle.read"),
  createRelease: may("release", "create"),
  listReleases: may("release", "read"),
  rollback: may("release", "create", "release.rollback"),
  listRollouts: may("rollout", "read"),
  readRollout: may("rollout", "read"),
  commandRollout: may("rollout", "update", "rollout.command"),
  putTraffic: may("traffic", "update", "traffic.put"),
  createOverride: may("traffic", "create", "traffic.override"),
  readEnvironment: may("environment", "read"),
  listEnvironmentVersions: may("environment", "read"),
  rollbackEnvironment: may("environment", "update", "environment.change"),
  patchEnvironment: may("environment", "update", "environment.change"),
  events: may("event", "read"),
  listAppEvents: may("event", "read"),
  logs: may("log", "read"),
  listDomains: may("domain", "read"),
  addDomain: may("domain", "create", "domain.add"),
  readDomain: may("domain", "read"),
  verifyDomain: may("domain", "update", "domain.verify"),
  removeDomain: may("domain", "delete", "domain.remove"),
  listRegistries: may("registry", "read"),
  putRegistry: may("registry", "update", "registry.put"),
  deleteRegistry: may("registry", "delete", "registry.delete"),

  createJoinToken: may("node", "create", "join_token.create"),
  listJoinTokens: may("node", "read", "join_token.list"),
  revokeJoinToken: may("node", "delete", "join_token.revoke"),
  listNodes: may("node", "read"),
  readNode: may("node", "read"),
  listNodeInstances: may("node", "read"),
  listNodeEvents: may("node", "read"),
  cordonNode: may("node", "update", "node.cordon"),
  uncordonNode: may("node", "update", "node.uncordon"),
  drainNode: may("node", "update", "node.drain"),
  removeNode: may("node", "delete", "node.remove"),
  revokeNode: may("node", "delete", "node.revoke"),
  rebalance: may("node", "update", "node.rebalance"),
  putAgentBundle: may("agent", "create", "agent.upload"),
  publishAgentRelease: may("agent", "create", "agent.publish"),
  listAgentReleases: may("agent", "read"),
  startAgentUpgrade: may("agent", "update", "agent.upgrade"),
  readAgentUpgrades: may("agent", "read"),
  changeAgentUpgrades: may("agent", "update", "agent.upgrade_change"),
  putInstallation: may("installation", "update", "installation.publish"),
  getInstallation: may("installation", "read"),
  dumpObjects: may("backup", "create", "backup.objects"),
  wrapKeys: may("backup", "create", "backup.keys"),
  readAgentChannel: may("backup", "create", "backup.channel"),
  readBundle: may("backup", "create", "backup.bundle"),
  listBackups: may("backup", "read"),
  recordBackup: may("backup", "create", "backup.record"),
  listOperatorAudit: may("operator_audit", "read"),
  exportOperatorAudit: may("operator_audit", "read", "operator_audit.export"),
};

/** `GET /v1/apps/:app` → what it asks. Filled once all routes are there. */
export type AccessByRoute = Map<string, Access>;

/** Throws for a route of /v1 without a line in the table, and for a line without a route: neither can be meant. */
export function fillAccess(table: AccessByRoute, api: Api, lines = ACCESS): void {
  const operations = new Map<string, string>();
  for (const definition of api.openAPIRegistry.definitions) {
    if (definition.type !== "route") continue;
    const { method, path, operationId = "" } = definition.route;
    operations.set(`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`, operationId);
  }
  const unused = new Set(Object.keys(lines));
  for (const { method, path } of api.routes) {
    if (method === "ALL" || !path.startsWith("/v1/")) continue;
    const route = `${method} ${path}`;
    const operation = operations.get(route);
    const access = operation === undefined ? undefined : lines[operation];
    if (operation === undefined || access === undefined) {
      throw new Error(`${route} (${operation ?? "no operationId"}) has no line in workers/control/http/access.ts`);
    }
    unused.delete(operation);
    table.set(route, access);
  }
  if (unused.size > 0)
    throw new Error(`workers/control/http/access.ts has lines without a route: ${[...unused].join(", ")}`);
}
