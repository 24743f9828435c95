// Bun's own server: echoes the messages of WebSockets, and relays those of /bc to all others, as its
// guide on WebSockets does.
const [hostname, port] = process.argv[process.argv.indexOf("--listen") + 1].split(":");

Bun.serve({
  hostname,
  port: Number(port),
  fetch(request, server) {
    const relays = new URL(request.url).pathname === "/bc";
    if (server.upgrade(request, { data: { relays } })) return;
    return new Response("this server speaks WebSocket only", { status: 426 });
  },
  websocket: {
    maxPayloadLength: 16 << 20,
    open(socket) {
      if (socket.data.relays) socket.subscribe("all");
    },
    message(socket, message) {
      if (socket.data.relays) socket.publish("all", message);
      else socket.send(message);
    },
  },
});
