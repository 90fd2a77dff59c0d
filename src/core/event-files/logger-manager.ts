// `EventFiles` under the names of the Go package that it comes from.
import { requireBytes, requireText } from '../../base/bytes.ts'
import { LogboomError } from '../../base/errors.ts'
import type { DirectFileCounters, FlushMetrics } from '../direct-file/statistics.ts'
import { EventFiles, type EventStats } from './event-files.ts'

export class LoggerManager extends EventFiles {
  /** `log` for text. */
  logWithEvent(event: string, message: string): boolean {
    requireText('logWithEvent', message)
    return this.logData(event, message)
  }

  /** `log` for bytes. */
  logBytesWithEvent(event: string, data: Uint8Array): boolean {
    return this.logData(event, requireBytes('logBytesWithEvent', data))
  }

  /** `open`. */
  initializeEventLogger(event: string): void {
    this.open(event)
  }

  /** `close` of one event. */
  closeEventLogger(event: string): Promise<void> {
    if (event !== undefined) return this.close(event)
    return Promise.reject(
      new LogboomError('ERR_EVENT_NAME', 'an event name must be a text that is not empty')
    )
  }

  hasEventLogger(event: string): boolean {
    return this.isActive(event)
  }

  /** `events`. */
  listEventLoggers(): string[] {
    return this.events()
  }

  /** Totals over all events. */
  getStatsSnapshot(): DirectFileCounters {
    const { dropped, bytes, errors } = this.stats()
    const { totalFlushes } = this.metrics
    return {
      totalLogs: this.offered,
      droppedLogs: dropped,
      bytesWritten: bytes,
      flushes: totalFlushes,
      flushErrors: errors,
      setSwaps: totalFlushes
    }
  }

  /** `stats` of one event. */
  getEventStats(event: string): EventStats {
    if (event !== undefined) return this.stats(event)
    throw new LogboomError('ERR_EVENT_NAME', 'an event name must be a text that is not empty')
  }

  /** How writing goes, over all events. */
  getAggregatedFlushMetrics(): FlushMetrics {
    return this.metrics
  }
}
