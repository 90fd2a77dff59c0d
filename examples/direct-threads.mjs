// Four worker threads log to one direct file, without messages. Writes events.log into the current folder.
// Prints: 40000 records of 4 threads, in the order of each
import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { DirectFile, readRecords } from 'logboom'

const THREADS = 4

if (isMainThread) {
  const file = new DirectFile({ path: 'events.log' })
  const workers = Array.from(
    { length: THREADS },
    (_, thread) => new Worker(new URL(import.meta.url), { workerData: { handle: file.share(), thread } })
  )
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  await file.close()

  const next = Array(THREADS).fill(0)
  let records = 0
  for await (const { data } of readRecords('events.log')) {
    const { thread, number } = JSON.parse(data.toString())
    if (number !== next[thread]++) throw new Error('a record is out of order')
    records++
  }
  console.log(`${records} records of ${THREADS} threads, in the order of each`)
} else {
  const { handle, thread } = workerData
  const writer = DirectFile.attach(handle)
  for (let number = 0; number < 10_000; number++) writer.log(JSON.stringify({ thread, number }))
  writer.close()
}
