package manifest

// What names and sizes look like. The JSON Schema carries the same patterns, so they keep to what RE2 and ECMA-262 share.
const (
	NamePattern     = `^[a-z][a-z0-9-]{1,20}[a-z0-9]$`
	VersionPattern  = `^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$`
	LabelPattern    = `^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$`
	SchedulePattern = `^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`
	SHA256Pattern   = `^[0-9a-f]{64}$`
	URIPattern      = `^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/[^#]+#[1-9][0-9]*$`
	MemoryPattern   = `^[1-9][0-9]*(Mi|Gi)$`
	CPUPattern      = `^([1-9][0-9]*|0?\.[0-9]+)$`
	DurationPattern = `^[1-9][0-9]*[smh]$`
	BytesPattern    = `^([1-9][0-9]*)(B|KiB|MiB|GiB|TiB)$`
	PercentPattern  = `^[0-9]+(\.[0-9]+)?%$`
	InvokerPattern  = `^(serviceAccount|user|group|domain):[^ ]+$|^principal(Set)?://[^ ]+$`
)

// The layouts of timestamps that are words; every other one is a layout of package time.
const (
	LayoutRFC3339 = "rfc3339"
	LayoutUnix    = "unix"
)
