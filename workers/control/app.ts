// The control Worker's HTTP face: what every request passes, the routes, and the one place where errors become answers.
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { agents } from "./agent/routes.ts";
import { agentReleases } from "./routes/agent-releases.ts";
import { fillAccess, type AccessByRoute } from "./http/access.ts";
import { requireAccess } from "./http/authorise.ts";
import { answerHeaders } from "./http/answer-headers.ts";
import { limitBodies } from "./http/body.ts";
import { newApi, type Api } from "./http/context.ts";
import { tellRate } from "./http/rate-limit.ts";
import { answerError, problemResponse } from "./http/problem.ts";
import { restore } from "./backup/restore.ts";
import { serveDocument } from "./openapi/document.ts";
import { devicePages } from "./pages/device.ts";
import { letterPages } from "./pages/letters.ts";
import { account } from "./routes/account.ts";
import { accounts } from "./routes/accounts.ts";
import { apps } from "./routes/apps.ts";
import { audit } from "./routes/audit.ts";
import { backups } from "./routes/backups.ts";
import { bundles } from "./routes/bundles.ts";
import { devices } from "./routes/devices.ts";
import { domains } from "./routes/domains.ts";
import { environment } from "./routes/environment.ts";
import { invitations } from "./routes/invitations.ts";
import { imagePolicies } from "./routes/image-policies.ts";
import { installation } from "./routes/installation.ts";
import { joinTokens } from "./routes/join-tokens.ts";
import { members } from "./routes/members.ts";
import { keys } from "./routes/keys.ts";
import { nodeLifecycle } from "./routes/node-lifecycle.ts";
import { nodes } from "./routes/nodes.ts";
import { registries } from "./routes/registries.ts";
import { releases } from "./routes/releases.ts";
import { roles } from "./routes/roles.ts";
import { rollouts } from "./routes/rollouts.ts";
import { traffic } from "./routes/traffic.ts";
import { streams } from "./routes/streams.ts";
import { operatorEntries } from "./routes/operator-entries.ts";
import { operators } from "./routes/operators.ts";
import { signInPolicy } from "./routes/sign-in-policy.ts";
import { providerPages } from "./pages/providers.ts";
import { quotas } from "./routes/quotas.ts";
import { teams } from "./routes/teams.ts";
import { tokens } from "./routes/tokens.ts";

export const app: Api = newApi();

app.use(requestId({ limitLength: 128 }));
app.use(answerHeaders);
app.use(
  methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) =>
      problemResponse(
        { code: "method_not_allowed", message: `This path takes ${methods.join(", ")}.` },
        c.get("requestId"),
        { allow: methods.join(", ") },
      ),
  }),
);
app.use(limitBodies);
const access: AccessByRoute = new Map();
app.use("/v1/*", tellRate, requireAccess(access));

app.get("/healthz", (c) => c.json({ ok: true }));
for (const routes of [
  accounts,
  account,
  devices,
  tokens,
  teams,
  operators,
  operatorEntries,
  signInPolicy,
  members,
  invitations,
  roles,
  audit,
  quotas,
  imagePolicies,
  apps,
  releases,
  rollouts,
  domains,
  traffic,
  environment,
  streams,
  bundles,
  registries,
  joinTokens,
  agentReleases,
  installation,
  nodeLifecycle,
  nodes,
  backups,
  keys,
]) {
  app.route("/", routes);
}
fillAccess(access, app);
app.route("/", letterPages);
app.route("/", devicePages);
app.route("/", providerPages);
app.route("/", agents);
app.route("/", restore);
serveDocument(app);

app.notFound((c) =>
  problemResponse({ code: "not_found", message: `There is nothing at ${c.req.path}.` }, c.get("requestId")),
);

app.onError((error, c) => answerError(error, c.get("requestId")));
