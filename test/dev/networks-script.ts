// Makes a node's network in a process of its own, says so, and waits to be killed.
import { Networks } from "../../dev/network/namespaces.ts";

const networks = await Networks.create(process.argv[2] ?? "", 1);
process.stdout.write(`${networks.nodes[0]?.namespace}\n`);
setInterval(() => {}, 1_000);
