// An upstream as many services are: Node's own HTTP server. `node upstream.js PORT`.
'use strict';
const http = require('node:http');

const ends = { ours: 0, theirs: 0 };

const server = http.createServer((request, response) => {
  switch (new URL(request.url, 'http://upstream').pathname) {
    // What came, as it comes.
    case '/echo':
      request.pipe(response);
      break;
    // What came, told in the end.
    case '/told': {
      let bytes = 0;
      request.on('data', (piece) => { bytes += piece.length; });
      request.on('end', () => response.end(JSON.stringify({
        method: request.method, headers: request.headers, trailers: request.trailers, bytes,
      })));
      break;
    }
    // Fields behind the body.
    case '/trailers':
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('body');
      response.addTrailers({ 'x-sum': '4' });
      response.end();
      break;
    // The answer comes first, and what the caller sends is not read.
    case '/early':
      response.writeHead(413);
      response.end('too large');
      break;
    // The answer comes first, and the connection ends.
    case '/early-and-gone':
      response.writeHead(413, { connection: 'close' });
      response.end('too large');
      break;
    // Interim answers come first.
    case '/hints':
      response.writeProcessing();
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.end('final');
      break;
    // It breaks off in the middle.
    case '/broken':
      response.writeHead(200, { 'content-length': '10' });
      response.write('part');
      setImmediate(() => request.socket.destroy());
      break;
    // How many connections there are.
    case '/connections':
      server.getConnections((_, count) => response.end(String(count)));
      break;
    // Who ended how many of those that carried a call.
    case '/ends':
      response.end(JSON.stringify(ends));
      break;
    default:
      response.end('ok');
  }
});
// Those that never carried a call are somebody's look whether the port is open.
server.on('connection', (socket) => {
  let isTheirs = false;
  socket.on('end', () => { isTheirs = true; });
  socket.on('close', () => {
    if (socket.bytesWritten > 0) ends[isTheirs ? 'theirs' : 'ours'] += 1;
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1');
