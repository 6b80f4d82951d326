// One row of the endpoint file.
import type { EndpointInstance } from "../../endpoint-file.ts";

type About = Pick<EndpointInstance, "instance" | "generation" | "app" | "team" | "release" | "port">;

/** told: of the document, what the gateway is to see to. Without an address (host is empty) there is nothing to dial: its logs can be read, and no more. */
export function endpointRow(
  { instance, generation, app, team, release, port }: About,
  host: string,
  state: EndpointInstance["state"],
  logPath: string,
  told: Pick<EndpointInstance, "http" | "hostPorts" | "leave">,
): EndpointInstance {
  const about = { instance, generation, app, team, release, port, logPath, ...told };
  if (host !== "") return { ...about, host, state };
  return { ...about, host: "127.0.0.1", state: state === "gone" ? "gone" : "starting" };
}
