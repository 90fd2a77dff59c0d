// What happens to sinks, for whoever watches the whole process: channels of node:diagnostics_channel, one per event.
import { channel } from 'node:diagnostics_channel'

/** The events that have a channel, `logboom:rotated` and so on. `failed`: nothing is written any more. */
export const channelNames = [
  'rotated',
  'finished',
  'removed',
  'warning',
  'degraded',
  'recovered',
  'dropped',
  'repaired',
  'recovered-lane',
  'failed'
] as const

export type ChannelName = (typeof channelNames)[number]

const channels = new Map(channelNames.map((name) => [name, channel(`logboom:${name}`)]))

/** Publishes `{path, …event}`, where `path` is that of the sink; of what repaired has, too, `file` is the file. */
export function publish(name: string, path: string, event: object = {}): void {
  const to = channels.get(name as ChannelName)
  if (to?.hasSubscribers !== true) return
  const file = (event as { path?: string }).path
  to.publish(file === undefined || file === path ? { ...event, path } : { ...event, path, file })
}
