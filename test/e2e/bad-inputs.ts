// Requests that are wrong in one way each, and what the API must say: a 4xx that names the place and the rule.

export interface BadInput {
  readonly name: string;
  readonly method: string;
  /** {app}: an app that exists. */
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly code: string;
  /** `pointer rule` of one of its errors. */
  readonly error?: string;
}

export const image = (spec: object) => ({ spec: { source: { kind: "image", reference: "busybox" }, ...spec } });
export const bad = (
  name: string,
  method: string,
  path: string,
  body: unknown,
  error: string,
  status = 400,
): BadInput => ({
  name,
  method,
  path,
  body,
  status,
  code: status === 422 ? "unprocessable" : "invalid_request",
  error,
});

const createApp: BadInput[] = [
  ["an upper-case name", { name: "Hello" }, "/name format:regex"],
  ["a name with a dot", { name: "a.b" }, "/name format:regex"],
  ["a name that begins with -", { name: "-a" }, "/name format:regex"],
  ["a name that ends with -", { name: "a-" }, "/name format:regex"],
  ["a name of 64 characters", { name: "a".repeat(64) }, "/name format:regex"],
  ["an empty name", { name: "" }, "/name format:regex"],
  ["no name", {}, "/name type:string"],
  ["a number for a name", { name: 7 }, "/name type:string"],
  ["an unknown field", { name: "ok", color: "red" }, "/color unknown_field"],
  ["fewer than no replicas", { name: "ok", replicas: -1 }, "/replicas min:0"],
  ["half a replica", { name: "ok", replicas: 0.5 }, "/replicas type:int"],
  ["too many replicas", { name: "ok", replicas: 1_001 }, "/replicas max:1000"],
  ["no region", { name: "ok", regions: [] }, "/regions min:1"],
  ["a region that is no name", { name: "ok", regions: ["Fra 1"] }, "/regions/0 format:regex"],
  ["a list for a body", [], " type:object"],
  ["null for a body", null, " type:object"],
].map(([name, body, error]) => bad(`an app with ${String(name)}`, "POST", "/v1/apps", body, String(error)));

const release: BadInput[] = [
  ["port 0", image({ port: 0 }), "/spec/port min:1"],
  ["port 65536", image({ port: 65_536 }), "/spec/port max:65535"],
  ["a port in words", image({ port: "http" }), "/spec/port type:number"],
  ["negative memory", image({ resources: { memoryBytes: -1 } }), "/spec/resources/memoryBytes min:4194304"],
  ["absurd memory", image({ resources: { memoryBytes: 2 ** 52 } }), "/spec/resources/memoryBytes max:4398046511104"],
  ["no cpu", image({ resources: { cpuMilli: 0 } }), "/spec/resources/cpuMilli min:10"],
  ["more cpu than any node has", image({ resources: { cpuMilli: 1e9 } }), "/spec/resources/cpuMilli max:256000"],
  ["an unknown resource", image({ resources: { gpu: 1 } }), "/spec/resources/gpu unknown_field"],
  ["an empty command", image({ command: [] }), "/spec/command min:1"],
  ["a command as one text", image({ command: "run me" }), "/spec/command type:array"],
  ["a probe of no kind", image({ probes: { readiness: { kind: "guess" } } }), "/spec/probes/readiness/kind one_of"],
  [
    "a probe path without /",
    image({ probes: { readiness: { kind: "http", path: "x" } } }),
    "/spec/probes/readiness/path format:regex",
  ],
  ["an unknown source", { spec: { source: { kind: "zip" } } }, "/spec/source/kind one_of"],
  ["no source", { spec: {} }, "/spec/source type:object"],
  [
    "an image with spaces",
    { spec: { source: { kind: "image", reference: "a b" } } },
    "/spec/source/reference image_reference",
  ],
  [
    "an image in upper case",
    { spec: { source: { kind: "image", reference: "Nginx" } } },
    "/spec/source/reference image_reference",
  ],
  [
    "an image with half a digest",
    { spec: { source: { kind: "image", reference: "a@sha256:12" } } },
    "/spec/source/reference image_reference",
  ],
  [
    "a bundle hash that is none",
    { spec: { source: { kind: "bundle", hash: "sha256:xyz" } } },
    "/spec/source/hash format:regex",
  ],
  [
    "a deadline before its own steps are over",
    {
      ...image({}),
      deadlineMs: 60_000,
      plan: { strategy: { kind: "canary", steps: [{ weight: 5, durationMs: 60_000 }] } },
    },
    "/deadlineMs custom",
  ],
  [
    "statuses to pass the wrong way round",
    { ...image({}), plan: { smoke: { path: "/", statusMin: 500, statusMax: 200 } } },
    "/plan/smoke/statusMin custom",
  ],
  ["a deadline of a millisecond", { ...image({}), deadlineMs: 1 }, "/deadlineMs min:5000"],
  [
    "an unknown field deep inside",
    image({ probes: { liveness: { kind: "tcp", colour: 1 } } }),
    "/spec/probes/liveness/colour unknown_field",
  ],
].map(([name, body, error]) =>
  bad(`a release with ${String(name)}`, "POST", "/v1/apps/{app}/releases", body, String(error)),
);

const hash = `sha256:${"0".repeat(64)}`;
const rest: BadInput[] = [
  bad(
    "a bundle that was never uploaded",
    "POST",
    "/v1/apps/{app}/releases",
    { spec: { source: { kind: "bundle", hash }, command: ["node"] } },
    "/spec/source/hash exists",
    422,
  ),
  bad("a reserved variable", "PATCH", "/v1/apps/{app}/env", { set: { BERTH_X: "1" } }, "/set/BERTH_X custom"),
  bad("a variable that is no name", "PATCH", "/v1/apps/{app}/env", { set: { "1A": "1" } }, "/set/1A format:regex"),
  bad("a value with a NUL byte", "PATCH", "/v1/apps/{app}/env", { set: { A: "a\u0000b" } }, "/set/A custom"),
  bad("a variable set and unset", "PATCH", "/v1/apps/{app}/env", { set: { A: "1" }, unset: ["A"] }, "/unset/0 once"),
  bad("version 0", "POST", "/v1/apps/{app}/rollback", { version: 0 }, "/version min:0"),
  bad("fewer than no replicas", "PATCH", "/v1/apps/{app}", { replicas: -1 }, "/replicas min:0"),
  bad("a limit of 0", "GET", "/v1/apps?limit=0", undefined, "query:limit min:1"),
  bad("a limit in words", "GET", "/v1/apps?limit=all", undefined, "query:limit type:number"),
  bad("an unknown query", "GET", "/v1/apps?sort=name", undefined, "query:sort unknown_field"),
  bad("a cursor of somebody's own", "GET", "/v1/apps?cursor=abc", undefined, "query:cursor cursor"),
  bad("a rollout that is no id", "GET", "/v1/apps/{app}/rollouts/7", undefined, "path:rollout format:regex"),
  bad(
    "a registry that is no host",
    "PUT",
    "/v1/registries/not_a_host",
    { username: "u", password: "p" },
    "path:host registry_host",
  ),
  bad("a join token for a day", "POST", "/v1/nodes/tokens", { expiresInMs: 86_400_000 }, "/expiresInMs max:900000"),
  bad("a token without a name", "POST", "/v1/tokens", { name: "" }, "/name min:1"),
  bad("a team slug with spaces", "POST", "/v1/teams", { slug: "a b", name: "A" }, "/slug format:regex"),
  bad("a log tail beyond the limit", "GET", "/v1/apps/{app}/logs?tail=1000000", undefined, "query:tail max:1000"),
  bad(
    "an event to begin after that is no number",
    "GET",
    "/v1/apps/{app}/events?after=x",
    undefined,
    "query:after format:regex",
  ),
  {
    ...bad(
      "an idempotency key with spaces",
      "POST",
      "/v1/projects",
      { name: "ok" },
      "header:idempotency-key format:regex",
    ),
    headers: { "idempotency-key": "a b" },
  },
  {
    name: "a body that is not JSON",
    method: "POST",
    path: "/v1/apps",
    body: '{"name": ',
    status: 400,
    code: "malformed_json",
    error: " json",
  },
  {
    name: "a body of another type",
    method: "POST",
    path: "/v1/apps",
    body: "name=x",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    name: "a body of 2 MB",
    method: "POST",
    path: "/v1/apps",
    body: { name: "x".repeat(2_000_000) },
    status: 413,
    code: "payload_too_large",
  },
  {
    name: "a bundle of another type",
    method: "PUT",
    path: `/v1/apps/{app}/bundles/${hash}`,
    body: "x",
    headers: { "content-type": "text/plain" },
    status: 415,
    code: "unsupported_media_type",
    error: "header:content-type media_type",
  },
  {
    name: "a bundle that does not match its hash",
    method: "PUT",
    path: `/v1/apps/{app}/bundles/${hash}`,
    body: "x",
    headers: { "content-type": "application/gzip" },
    status: 422,
    code: "unprocessable",
    error: "path:hash sha256",
  },
  { name: "an app that does not exist", method: "GET", path: "/v1/apps/nobody", status: 404, code: "not_found" },
  {
    name: "a rollout that does not exist",
    method: "GET",
    path: "/v1/apps/{app}/rollouts/roll_01h455vb4pex5vsknk084sn02q",
    status: 404,
    code: "not_found",
  },
  { name: "a node that does not exist", method: "GET", path: "/v1/nodes/nobody", status: 404, code: "not_found" },
  { name: "an unknown path", method: "GET", path: "/v1/nothing", status: 404, code: "not_found" },
  {
    name: "a method that the path does not take",
    method: "PUT",
    path: "/v1/apps",
    body: {},
    status: 405,
    code: "method_not_allowed",
  },
  {
    name: "a project that does not exist",
    method: "POST",
    path: "/v1/apps",
    body: { name: "ok", project: "nobody" },
    status: 404,
    code: "not_found",
    error: "/project exists",
  },
  {
    name: "no token",
    method: "GET",
    path: "/v1/apps",
    headers: { authorization: "" },
    status: 401,
    code: "unauthenticated",
  },
  {
    name: "a token that was never given out",
    method: "GET",
    path: "/v1/apps",
    headers: { authorization: `Bearer berth_${"x".repeat(43)}` },
    status: 401,
    code: "unauthenticated",
  },
  {
    name: "a token of another scheme",
    method: "GET",
    path: "/v1/apps",
    headers: { authorization: "Basic YTpi" },
    status: 401,
    code: "unauthenticated",
  },
  {
    name: "a team that the caller is not in",
    method: "GET",
    path: "/v1/apps",
    headers: { "berth-team": "nobody" },
    status: 404,
    code: "not_found",
  },
  {
    name: "a wrong password",
    method: "POST",
    path: "/v1/sign-in",
    body: { email: "nobody@example.com", password: "wrong wrong wrong" },
    status: 401,
    code: "unauthenticated",
  },
  {
    name: "a second set-up",
    method: "POST",
    path: "/v1/setup",
    body: { setupToken: "wrong wrong wrong wrong", email: "a@example.com", password: "correct horse" },
    status: 403,
    code: "forbidden",
  },
];

export const BAD_INPUTS: readonly BadInput[] = [...createApp, ...release, ...rest];
