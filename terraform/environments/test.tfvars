# As production, but for what protects data. Project and region come from outside, as TF_VAR_project and TF_VAR_region, or are named here.
environment         = "test"
deletion_protection = false
force_destroy       = true
retention_days      = { inbox = 30, outbox = 30 }
approval            = { apply = true, deploy = false }

# Who is told: owners = { platform = { email = "…" }, team-bikes = { email = "…" } }
owners = {}
