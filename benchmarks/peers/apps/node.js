// A server of Node with an ending of its own:
//   node node.js http-terminator|stoppable PORT GRACE-IN-MILLISECONDS [PEM-FILE]
'use strict'
const fs = require('fs')
const http = require('http')
const https = require('https')

const [kind, port, grace, pem] = process.argv.slice(2)

function answer (response, body) {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

function upload (request, response) {
  let size = 0
  request.on('data', data => { size += data.length })
  request.on('end', () => answer(response, `${size}\n`))
}

function download (response, size) {
  const block = Buffer.alloc(65536)
  response.writeHead(200, { 'Content-Length': size })
  const write = () => {
    while (size > 0) {
      const piece = block.subarray(0, Math.min(size, block.length))
      size -= piece.length
      if (!response.write(piece)) return response.once('drain', write)
    }
    response.end()
  }
  write()
}

function serve (request, response) {
  const url = new URL(request.url, 'http://localhost')
  const asked = name => Number(url.searchParams.get(name))
  if (url.pathname === '/slow') {
    setTimeout(() => answer(response, 'slow\n'), asked('seconds') * 1000)
  } else if (url.pathname === '/echo') {
    answer(response, `${url.searchParams.get('n')}\n`)
  } else if (url.pathname === '/upload') {
    upload(request, response)
  } else if (url.pathname === '/download') {
    download(response, asked('bytes'))
  } else {
    answer(response, 'hello\n')
  }
}

const secret = pem ? fs.readFileSync(pem) : null
const server = pem ? https.createServer({ key: secret, cert: secret }, serve) : http.createServer(serve)
// 5 s is the default: idle connections would be gone before the stop.
server.keepAliveTimeout = 120000

const endings = {
  'http-terminator': () => {
    const { createHttpTerminator } = require('http-terminator')
    const terminator = createHttpTerminator({ server, gracefulTerminationTimeout: Number(grace) })
    return () => terminator.terminate()
  },
  stoppable: () => {
    require('stoppable')(server, Number(grace))
    return () => new Promise(resolve => server.stop(resolve))
  }
}
// Before it listens, so that it sees every connection.
const end = endings[kind]()
// What is still at work for a connection that was cut would keep the process.
process.once('SIGTERM', () => end().finally(() => process.exit()))
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 1024 })
