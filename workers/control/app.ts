// The control Worker's HTTP face: what every request passes, the routes, and the one place where errors become answers.
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { agents } from "./agent/routes.ts";
import { requireCaller } from "./http/authorise.ts";
import { limitBodies } from "./http/body.ts";
import { newApi, type Api } from "./http/context.ts";
import { answerError, problemResponse } from "./http/problem.ts";
import { serveDocument } from "./openapi/document.ts";
import { accounts } from "./routes/accounts.ts";
import { apps } from "./routes/apps.ts";
import { bundles } from "./routes/bundles.ts";
import { environment } from "./routes/environment.ts";
import { joinTokens } from "./routes/join-tokens.ts";
import { nodeLifecycle } from "./routes/node-lifecycle.ts";
import { nodes } from "./routes/nodes.ts";
import { registries } from "./routes/registries.ts";
import { releases } from "./routes/releases.ts";
import { rollouts } from "./routes/rollouts.ts";
import { streams } from "./routes/streams.ts";
import { teams } from "./routes/teams.ts";
import { tokens } from "./routes/tokens.ts";

export const app: Api = newApi();

app.use(requestId({ limitLength: 128 }));
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
app.use("/v1/*", requireCaller);

app.get("/healthz", (c) => c.json({ ok: true }));
for (const routes of [
  accounts,
  tokens,
  teams,
  apps,
  releases,
  rollouts,
  environment,
  streams,
  bundles,
  registries,
  joinTokens,
  nodeLifecycle,
  nodes,
]) {
  app.route("/", routes);
}
app.route("/", agents);
serveDocument(app);

app.notFound((c) =>
  problemResponse({ code: "not_found", message: `There is nothing at ${c.req.path}.` }, c.get("requestId")),
);

app.onError((error, c) => answerError(error, c.get("requestId")));
