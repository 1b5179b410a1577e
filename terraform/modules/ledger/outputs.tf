output "condition" {
  description = "What a grant on the project says, so that it holds for this database alone."
  value       = "resource.name == \"projects/${var.project}/databases/${var.name}\""
}

output "name" {
  description = "The id of the database."
  value       = google_firestore_database.this.name
}
