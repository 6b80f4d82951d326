// A process of its own for state.test.ts: stores one document after the other until it is killed.
import { NodeId } from "../../../contracts/ids.ts";
import { DesiredStore } from "../../../node-agent/agent/state/desired-store.ts";
import { desired } from "./world.ts";

const store = await DesiredStore.open(process.argv[2] as string, 100);
const node = NodeId.parse("node_00000000000000000000000001");
for (let revision = (store.desired?.revision ?? 0) + 1; ; revision += 1) {
  await store.accept({ node, revision, instances: [desired(), desired()], routes: {}, watch: [] });
  process.send?.(revision);
}
