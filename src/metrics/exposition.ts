// Metrics as text: OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/) and the older text format of
// Prometheus, which node_exporter's textfile collector reads.
import type { Family } from './samples.ts'

export type MetricsFormat = 'openmetrics' | 'prometheus'

export function exposition(families: readonly Family[], format: MetricsFormat): string {
  const isOpen = format === 'openmetrics'
  let text = ''
  for (const { name, type, help, samples } of families) {
    if (samples.length === 0) continue
    // OpenMetrics names a counter without the ending that its samples have.
    const family = isOpen && type === 'counter' ? name.replace(/_total$/, '') : name
    text += `# HELP ${family} ${escapeHelp(help)}.\n# TYPE ${family} ${type}\n`
    for (const { labels, value } of samples) text += `${name}${labelText(labels)} ${numberText(value)}\n`
  }
  return isOpen ? `${text}# EOF\n` : text
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}
