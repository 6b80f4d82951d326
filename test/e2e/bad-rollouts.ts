// Wrong in one way each, of rollouts, traffic and domains, and what the API must say.
import { bad, image, type BadInput } from "./bad-inputs.ts";

const release = (name: string, body: object, error: string): BadInput =>
  bad(`a release with ${name}`, "POST", "/v1/apps/{app}/releases", body, error);
const backwards = [{ weight: 50 }, { weight: 10 }];

export const BAD_ROLLOUTS: readonly BadInput[] = [
  release(
    "a probe path with spaces",
    image({ probes: { readiness: { kind: "http", path: "/a b" } } }),
    "/spec/probes/readiness/path format:regex",
  ),
  release(
    "steps that go backwards",
    { ...image({}), plan: { strategy: { kind: "canary", steps: backwards } } },
    "/plan/strategy/steps custom",
  ),
  bad(
    "weights that do not sum",
    "PUT",
    "/v1/apps/{app}/traffic",
    { weights: [{ version: 1, weight: 10 }] },
    "/weights custom",
  ),
  bad(
    "a full abort",
    "POST",
    "/v1/apps/{app}/rollouts/roll_01h455vb4pex5vsknk084sn02q/abort",
    { full: true },
    "/full promote",
  ),
  bad("a domain that is an address", "POST", "/v1/apps/{app}/domains", { hostname: "192.0.2.1" }, "/hostname ip"),
];
