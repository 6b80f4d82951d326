// The OpenAPI document of the public API, and the page that shows it.
import type { Api } from "../http/context.ts";
import { nameSchemas } from "./names.ts";
import { referencePage, type ReferenceDocument } from "./reference-page.ts";

const INFO = {
  title: "Berth",
  version: "1.0.0",
  license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  description: [
    "Deploy apps to racks you own.",
    "",
    "* Sign in with `POST /v1/sign-in`, or make an API token; send it as `authorization: Bearer …`.",
    "* `berth-team: <slug or id>` picks another of your teams (sessions only; an API token belongs to one team).",
    "* Every failure is `application/problem+json` (RFC 9457) with a stable `code`, and `errors[]` naming place and rule.",
    "* Writes take an `idempotency-key`: the same key and body give the same answer and one effect, for a day.",
    "* Lists take `limit` and `cursor`; `nextCursor` is null on the last page.",
    "* What changes a running app answers 202 with the rollout to watch in `location`.",
  ].join("\n"),
};

const TAGS = [
  { name: "Accounts", description: "Users and their sessions." },
  { name: "API tokens", description: "For pipelines and scripts." },
  { name: "Teams and projects", description: "Tenants, who is in them with which rights, and groups of apps." },
  { name: "Audit", description: "Who did what, and who was refused it." },
  { name: "Apps", description: "Deployable services: what they are, where they run, what they say." },
  { name: "Releases", description: "Immutable versions, and what brings them into service." },
  { name: "Rollouts", description: "The way from one release to another." },
  { name: "Environment", description: "Variables, sealed at once." },
  { name: "Domains", description: "Custom hostnames of apps: proven by DNS records, and one team's at most." },
  { name: "Registries", description: "Pull credentials for private images." },
  { name: "Images", description: "Which images may run: by registry, by digest, by the word of a scanner." },
  { name: "Nodes", description: "Servers with an agent; for operators." },
  { name: "Keys", description: "The platform's own keys and their rotation; for operators." },
  { name: "Backups", description: "What `berth backup` and `berth doctor` ask for; for operators." },
];

export function openApiDocument(app: Api): ReturnType<Api["getOpenAPI31Document"]> {
  nameSchemas();
  return app.getOpenAPI31Document({ openapi: "3.1.0", info: INFO, tags: TAGS });
}

export function serveDocument(app: Api): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "A session's token or an API token.",
  });
  let document: ReturnType<typeof openApiDocument> | null = null;
  const made = () => (document ??= openApiDocument(app));
  app.get("/openapi.json", (c) => c.json(made()));
  app.get("/docs", (c) => {
    c.header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
    return c.html(referencePage(made() as unknown as ReferenceDocument));
  });
}
