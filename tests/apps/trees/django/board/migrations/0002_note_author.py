from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("board", "0001_initial")]
    operations = [migrations.AddField("Note", "author", models.CharField(blank=True, default="", max_length=50))]
