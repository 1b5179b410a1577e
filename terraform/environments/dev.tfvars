# What may be thrown away. Project and region come from outside, as TF_VAR_project and TF_VAR_region, or are named here.
environment         = "dev"
deletion_protection = false
force_destroy       = true
soft_delete_days    = 0
retention_days      = { inbox = 30, outbox = 30 }
approval            = { apply = false, deploy = false }

# Who is told: owners = { platform = { email = "…" }, team-bikes = { email = "…" } }
owners = {}
