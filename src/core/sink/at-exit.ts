// Who has something to write when the process, or this worker thread, exits.

/** Called on 'exit', when nothing asynchronous is possible any more. */
export interface ExitHandler {
  exitNow(): void
}

// Strong references, unlike those of the usual packages: what was accepted must not be lost with a sink that nobody
// refers to, and whoever is done with a sink closes it.
const handlers = new Set<ExitHandler>()

function exit(): void {
  for (const handler of handlers) handler.exitNow()
}

export function addExitHandler(handler: ExitHandler): void {
  if (handlers.size === 0) process.on('exit', exit)
  handlers.add(handler)
}

export function removeExitHandler(handler: ExitHandler): void {
  if (handlers.delete(handler) && handlers.size === 0) process.off('exit', exit)
}
