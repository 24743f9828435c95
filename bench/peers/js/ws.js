// ws on Node.js: echoes messages, and relays those of /bc to all others, as its README does.
import { WebSocket, WebSocketServer } from "ws";

const [host, port] = process.argv[process.argv.indexOf("--listen") + 1].split(":");
const perMessageDeflate = process.argv.includes("--deflate");
const options = { backlog: 4096, maxPayload: 16 << 20, perMessageDeflate };
const server = new WebSocketServer({ host, port: Number(port), ...options });

server.on("connection", (socket, request) => {
  const relays = request.url === "/bc";
  // One that breaks the protocol is closed; without this it would end the process.
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => {
    if (!relays) return socket.send(data, { binary: isBinary });
    for (const other of server.clients) {
      if (other !== socket && other.readyState === WebSocket.OPEN) other.send(data, { binary: isBinary });
    }
  });
});
